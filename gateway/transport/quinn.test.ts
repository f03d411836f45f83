import { expect, it } from 'vitest';
import { loadNative, TransportConfigError, TransportUnavailableError } from './native.ts';
import { listen, openClient } from './quinn.ts';
import { closingConformance, endpointConformance } from './testing/conformance-closing.ts';
import { flowConformance } from './testing/conformance-flow.ts';
import { framesConformance } from './testing/conformance-frames.ts';
import { Recorder } from './testing/recorder.ts';

const quinn = { name: 'quinn', listen, openClient };

framesConformance(quinn);
closingConformance(quinn);
endpointConformance(quinn);
flowConformance(quinn, new URL('./quinn.ts', import.meta.url).href);

it('quinn: says what to do without its addon', () => {
  expect(() => loadNative('./native/missing.node')).toThrow(TransportUnavailableError);
  expect(() => loadNative('./native/missing.node')).toThrow(/make build/);
});

it('quinn: says what is wrong with the authorities to trust', () => {
  const options = {
    alpn: 'gatesvr/1',
    maxFrameBytes: 1000,
    idleTimeoutMs: 1000,
    handshakeTimeoutMs: 1000,
    sendBufferBytes: { low: 1, high: 2, hard: 3 },
    receiveBufferBytesMax: 1000,
  };
  const open = () => openClient({ ...options, trust: { ca: 'nothing' } }, new Recorder());
  expect(open).toThrow(TransportConfigError);
  expect(open).toThrow('trusted authorities: no CERTIFICATE block in the PEM');
});
