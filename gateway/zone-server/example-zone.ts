import { errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import { type ZoneRequest, type ZoneResponse, ZoneServer, type ZoneServerOptions } from './zone-server.ts';

const pushesMax = 10_000;

export interface ExampleZoneOptions
  extends Pick<ZoneServerOptions, 'advertiseAddress' | 'credentials' | 'weight' | 'instanceId'> {
  readonly zoneId: string;
  readonly address: string;
  readonly gateways: readonly string[];
  readonly log: Logger;
}

/**
 * Starts the example zone (interface, "Command line"): echo, hello, login, push-me.
 * @throws ZoneListenError, ZoneOptionsError
 */
export async function startExampleZone(options: ExampleZoneOptions): Promise<ZoneServer> {
  const zone: ZoneServer = new ZoneServer({ ...options, handler: (request) => answer(zone, options.log, request) });
  await zone.start();
  return zone;
}

function answer(zone: ZoneServer, log: Logger, request: ZoneRequest): ZoneResponse {
  const { openid, action, data } = request;
  switch (action) {
    case 'hello':
      return { data: `hello ${openid} from zone ${zone.zoneId}` };
    case 'login':
      return { data: `welcome ${openid}` };
    case 'echo':
      return { data };
    case 'push-me':
      return pushMe(zone, log, request);
    default:
      return refusal(`action: ${JSON.stringify(action)}: expected hello, login, echo or push-me`);
  }
}

function pushMe(zone: ZoneServer, log: Logger, request: ZoneRequest): ZoneResponse {
  const text = request.data.toString();
  const count = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count >= 1 && count <= pushesMax)) {
    return refusal(`data: ${JSON.stringify(text.slice(0, 32))}: expected a number from 1 to ${pushesMax}`);
  }
  pushInOrder(zone, request, count).catch((thrown: unknown) => {
    log.warn({ openid: request.openid, error: errorMessage(thrown) }, 'push-me stopped');
  });
  return { data: 'ok' };
}

/** Each follows the response of the request it is bound to, and the one before it. */
async function pushInOrder(zone: ZoneServer, request: ZoneRequest, count: number): Promise<void> {
  const { openid, sessionId, clientSeqId } = request;
  const place = { bindClientSeqId: clientSeqId, order: 'after-response' } as const;
  for (let number = 1; number <= count; number += 1) {
    await zone.push({ openid, sessionId }, `push ${number}`, place);
  }
}

function refusal(message: string): ZoneResponse {
  return { success: false, error: { code: ErrorCode.ERROR_BAD_MESSAGE, message } };
}
