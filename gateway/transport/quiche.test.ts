import { listen, openClient } from './quiche.ts';
import { closingConformance, endpointConformance } from './testing/conformance-closing.ts';
import { flowConformance } from './testing/conformance-flow.ts';
import { framesConformance } from './testing/conformance-frames.ts';

const quiche = { name: 'quiche', listen, openClient };
framesConformance(quiche);
closingConformance(quiche);
endpointConformance(quiche);
flowConformance(quiche, new URL('./quiche.ts', import.meta.url).href);
