import { listen, openClient } from './quinn.ts';
import { closingConformance, endpointConformance } from './testing/conformance-closing.ts';
import { flowConformance } from './testing/conformance-flow.ts';
import { framesConformance } from './testing/conformance-frames.ts';

const quinn = { name: 'quinn', listen, openClient };

framesConformance(quinn);
closingConformance(quinn);
endpointConformance(quinn);
flowConformance(quinn, new URL('./quinn.ts', import.meta.url).href);
