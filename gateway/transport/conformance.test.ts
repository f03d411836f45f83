import { pairings } from './testing/adapters.ts';
import { closingConformance, endpointConformance } from './testing/conformance-closing.ts';
import { flowConformance } from './testing/conformance-flow.ts';
import { framesConformance } from './testing/conformance-frames.ts';
import { pathConformance } from './testing/conformance-paths.ts';
import { secretsConformance } from './testing/conformance-secrets.ts';
import { streamConformance } from './testing/conformance-streams.ts';

for (const pairing of pairings) {
  framesConformance(pairing);
  streamConformance(pairing);
  closingConformance(pairing);
  endpointConformance(pairing);
  flowConformance(pairing);
  pathConformance(pairing);
  secretsConformance(pairing);
}
