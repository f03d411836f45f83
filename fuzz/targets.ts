import assert from 'node:assert/strict';
import { HmacAuthenticator } from '../gateway/auth/hmac.ts';
import { parseSecrets } from '../gateway/auth/secrets.ts';
import { loadConfig } from '../gateway/config.ts';
import { UsageError } from '../gateway/lib/errors.ts';
import { rateKey } from '../gateway/overload/client-rates.ts';
import { limitsFromMessage, limitsToMessage, OverloadLimitsError } from '../gateway/overload/limits.ts';
import { decodeBusinessRequest, decodeClientRequest } from '../gateway/protocol/client-request.ts';
import { decodeAckRequest, decodeStartRequest } from '../gateway/protocol/codec.ts';
import { verifyResumeToken } from '../gateway/session/resume-token.ts';
import { decodeExchangeResponse } from '../gateway/upstream/exchange-codec.ts';
import { OverloadLimits } from '../proto/gen/admin.ts';
import { ClientRequest, ServerPush } from '../proto/gen/message.ts';
import { ExchangeRequest, ExchangeResponse, PushBatch, type UpstreamResponse } from '../proto/gen/upstream.ts';
import type { Target } from './fuzzer.ts';

/** What the decoders may throw at bytes that are no message; anything else is a finding. */
const refusals = new Set(['Error', 'RangeError', 'TypeError', 'UpstreamWireError']);

/** The decoded message, or undefined when the bytes are refused. */
function decoded<T>(decode: (bytes: Uint8Array) => T, bytes: Uint8Array): T | undefined {
  try {
    return decode(bytes);
  } catch (error) {
    assert(error instanceof Error && refusals.has(error.name), `refused by ${String(error)}`);
    assert(!/stack size|heap|memory/i.test(error.message), error.message);
    return undefined;
  }
}

interface Codec<T> {
  readonly decode: (bytes: Uint8Array) => T;
  readonly encode: (message: T) => { finish(): Uint8Array };
}

/** What was decoded once and written again means the same. */
function roundTrip<T>(codec: Codec<T>, bytes: Uint8Array): T | undefined {
  const message = decoded(codec.decode, bytes);
  if (message === undefined) return undefined;
  const again = codec.encode(message).finish();
  assert.deepEqual(codec.encode(codec.decode(again)).finish(), again);
  return message;
}

const clientRequest: Target = (input) => {
  const request = roundTrip(ClientRequest, input);
  assert.deepEqual(decoded(decodeClientRequest, input), request);
  if (request === undefined) return;
  decoded(decodeStartRequest, request.payload);
  decoded(decodeBusinessRequest, request.payload);
  decoded(decodeAckRequest, request.payload);
};

const serverPush: Target = (input) => void roundTrip(ServerPush, input);

const zoneStreams: Target = (input) => {
  roundTrip(ExchangeRequest, input);
  roundTrip(PushBatch, input);
};

/** The hand-written reader refuses what it cannot read, and reads what the generated code writes. */
const exchangeResponse: Target = (input) => {
  decoded(readByHand, input);
  const generated = decoded((bytes) => ExchangeResponse.decode(bytes), input);
  const tooLarge = ({ requestId }: UpstreamResponse) => requestId > BigInt(Number.MAX_SAFE_INTEGER);
  if (generated === undefined || generated.responses.some(tooLarge)) return;
  assert.deepEqual(readByHand(ExchangeResponse.encode(generated).finish()), generated.responses);
};

function readByHand(bytes: Uint8Array): UpstreamResponse[] {
  const responses: UpstreamResponse[] = [];
  decodeExchangeResponse(Buffer.from(bytes), '001', (id, response) => {
    responses.push({ ...response, requestId: BigInt(id) });
  });
  return responses;
}

const config: Target = (input) => {
  const text = Buffer.from(input).toString('utf8');
  try {
    loadConfig({ argv: ['--config', 'F'], env: {}, readFile: () => text });
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    assert(error.message !== '');
  }
};

const commandLine: Target = (input) => {
  const argv = Buffer.from(input).toString('utf8').split('\n');
  try {
    loadConfig({ argv, env: Object.fromEntries(argv.map((one) => one.split('=', 2))), readFile: () => '' });
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
  }
};

const authenticator = new HmacAuthenticator([Buffer.from('a secret that no fuzzer guesses....')], 0);

/** No bytes are a token: none is signed with the secret. */
const tokens: Target = (input) => {
  const authToken = Buffer.from(input).toString('utf8');
  const result = authenticator.authenticate(0, { openid: '', authToken, clientId: '', address: '' });
  assert.equal('ok' in result && result.ok, false);
  assert.equal(verifyResumeToken([Buffer.alloc(32, 7)], input), undefined);
};

const limits: Target = (input) => {
  const message = decoded((bytes) => OverloadLimits.decode(bytes), input);
  if (message === undefined) return;
  try {
    const accepted = limitsFromMessage(message);
    assert.deepEqual(limitsFromMessage(limitsToMessage(accepted)), accepted);
  } catch (error) {
    if (!(error instanceof OverloadLimitsError)) throw error;
  }
};

const addresses: Target = (input) => {
  const key = rateKey(Buffer.from(input).toString('latin1'));
  assert(key.length <= input.length + 32);
};

const secrets: Target = (input) => {
  try {
    assert(parseSecrets(input, 'F').every((secret) => secret.length > 0));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
  }
};

/** Everything that reads bytes which a stranger, a zone or an operator may have chosen. */
export const targets: ReadonlyMap<string, Target> = new Map([
  ['client-request', clientRequest],
  ['server-push', serverPush],
  ['zone-streams', zoneStreams],
  ['exchange-response', exchangeResponse],
  ['config', config],
  ['command-line', commandLine],
  ['tokens', tokens],
  ['limits', limits],
  ['addresses', addresses],
  ['secrets', secrets],
]);
