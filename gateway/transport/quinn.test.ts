import { closingConformance, endpointConformance } from './testing/conformance-closing.ts';
import { framesConformance } from './testing/conformance-frames.ts';
import { listen, openClient } from './quinn.ts';

const quinn = { name: 'quinn', listen, openClient };

framesConformance(quinn);
closingConformance(quinn);
endpointConformance(quinn);
