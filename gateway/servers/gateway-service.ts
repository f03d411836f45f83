import { type ServerDuplexStream, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js';
import type {
  GatewayServiceServer,
  PushBatch,
  PushItem,
  PushResult,
  PushResultBatch,
  RegisterUpstreamRequest,
  RegisterUpstreamResponse,
  UnregisterUpstreamRequest,
  UnregisterUpstreamResponse,
} from '../../proto/gen/upstream.ts';
import type { HandlerContext } from '../handlers/context.ts';
import { notPrimary, undecided } from '../handlers/leadership.ts';
import { parseAddress } from '../lib/address.ts';
import { type ErrorFields, errorOf, safeNumber } from '../protocol/codec.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import type { PushIdentity } from '../session/command.ts';
import { isZoneId } from '../upstream/zone.ts';
import { identityOf } from './push-conversion.ts';
import { broadcast, changeMembers, groupPush, presence, unicast } from './routed-calls.ts';

/** Items of one PushBatch; a larger one is refused whole. */
const batchItemsMax = 10_000;
const addressBytesMax = 253;
const weightMax = 1_000;

/** GatewayService: what zones call. Requests the gateway can judge are answered with OK and a status. */
export function gatewayService(context: HandlerContext): GatewayServiceServer {
  return {
    registerUpstream: (call, respond) => register(context, call, respond),
    unregisterUpstream: (call, respond) => unregister(context, call, respond),
    unicastPush: (call, respond) =>
      unicast(context, call.request, identityOf(call.request.pushId), (response) => respond(null, response)),
    broadcastPush: (call, respond) =>
      broadcast(context, call.request, identityOf(call.request.pushId), (response) => respond(null, response)),
    pushStream: (stream) => pushStream(context, stream),
    groupPush: (call, respond) =>
      groupPush(context, call.request, identityOf(call.request.pushId), (response) => respond(null, response)),
    joinGroup: (call, respond) => void changeMembers(context, 'join', call.request).then((it) => respond(null, it)),
    leaveGroup: (call, respond) => void changeMembers(context, 'leave', call.request).then((it) => respond(null, it)),
    presence: (call, respond) => presence(context, call, respond),
  };
}

function register(
  context: HandlerContext,
  call: ServerUnaryCall<RegisterUpstreamRequest, RegisterUpstreamResponse>,
  respond: sendUnaryData<RegisterUpstreamResponse>,
): void {
  const { zoneId, address, instanceId, weight } = call.request;
  const { shard, settings } = context;
  const answer = (error: ErrorFields | undefined) =>
    respond(null, {
      success: error === undefined,
      error: error === undefined ? undefined : errorOf(error),
      leaseMs: settings.zoneLeaseMs,
      epoch: BigInt(shard.epoch),
      endpoints: [...settings.upstreamEndpoints],
      pairId: context.fleet?.fleet.pairId ?? '',
    });
  const refusal =
    notPrimary(context, context.shard.zoneRedirect) ?? registrationProblem(context, zoneId, address, weight);
  if (refusal !== undefined) return answer(refusal);
  shard.submit(
    {
      kind: 'register-zone',
      zoneId,
      address,
      instanceId,
      weight: weight === 0 ? 1 : weight,
      leaseMs: settings.zoneLeaseMs,
    },
    (outcome) => answer(outcome.kind === 'refused' ? badMessage(outcome.reason) : undefined),
    () => answer(undecided),
  );
}

function unregister(
  context: HandlerContext,
  call: ServerUnaryCall<UnregisterUpstreamRequest, UnregisterUpstreamResponse>,
  respond: sendUnaryData<UnregisterUpstreamResponse>,
): void {
  const { zoneId, address, instanceId } = call.request;
  const refusal = notPrimary(context, context.shard.zoneRedirect) ?? registrationProblem(context, zoneId, address, 0);
  if (refusal !== undefined) return respond(null, { success: false, error: errorOf(refusal) });
  context.shard.submit(
    { kind: 'unregister-zone', zoneId, address, instanceId },
    () => respond(null, { success: true, error: undefined }),
    () => respond(null, { success: false, error: errorOf(undecided) }),
  );
}

function badMessage(message: string): ErrorFields {
  return { code: ErrorCode.ERROR_BAD_MESSAGE, message };
}

function registrationProblem(
  { settings }: HandlerContext,
  zoneId: string,
  address: string,
  weight: number,
): ErrorFields | undefined {
  if (!isZoneId(zoneId, settings.zoneCount)) {
    const shown = JSON.stringify(zoneId.slice(0, 16));
    return badMessage(`zone_id: ${shown}: expected 001 to ${String(settings.zoneCount).padStart(3, '0')}`);
  }
  const parsed = address.length > addressBytesMax ? undefined : parseAddress(address);
  if (parsed === undefined || parsed.host === '' || parsed.port === 0) {
    return badMessage(`address: ${JSON.stringify(address.slice(0, 64))}: expected HOST:PORT`);
  }
  return weight > weightMax ? badMessage(`weight: ${weight}: expected at most ${weightMax}`) : undefined;
}

/** PushStream: each batch is answered by one batch of results in its order. A slow reader stops being read. */
function pushStream(context: HandlerContext, stream: ServerDuplexStream<PushBatch, PushResultBatch>): void {
  stream.on('data', (batch: PushBatch) => {
    const { items, producerId } = batch;
    const first = safeNumber(batch.firstNumber);
    if (items.length > batchItemsMax || first === undefined) {
      const details = `items: ${items.length}: expected at most ${batchItemsMax}, numbered below 2^53`;
      // grpc-js turns an error event into the call's status; destroying the stream would tell the caller nothing.
      stream.emit('error', { code: status.INVALID_ARGUMENT, details });
      return;
    }
    const results: PushResult[] = new Array(items.length);
    let left = items.length;
    const finish = (index: number, result: PushResult) => {
      results[index] = result;
      left -= 1;
      if (left > 0) return;
      if (!stream.write({ results })) pauseUntilDrained(stream);
    };
    items.forEach((item, index) => {
      const identity = streamIdentity(item, producerId, first + index);
      pushItem(context, item, identity, (result) => finish(index, result));
    });
  });
  stream.on('end', () => stream.end());
  stream.on('error', () => stream.removeAllListeners('data'));
}

function pauseUntilDrained(stream: ServerDuplexStream<PushBatch, PushResultBatch>): void {
  stream.pause();
  stream.once('drain', () => stream.resume());
}

function streamIdentity(item: PushItem, producerId: string, number: number): PushIdentity {
  if (producerId !== '' && number > 0) return { kind: 'producer', producerId, number };
  const pushId = item.item?.value.pushId ?? '';
  return identityOf(pushId);
}

function pushItem(
  context: HandlerContext,
  item: PushItem,
  identity: PushIdentity,
  done: (result: PushResult) => void,
): void {
  switch (item.item?.$case) {
    case 'unicast':
      return unicast(context, item.item.value, identity, (value) => done({ result: { $case: 'unicast', value } }));
    case 'broadcast':
      return broadcast(context, item.item.value, identity, (value) => done({ result: { $case: 'broadcast', value } }));
    case 'group':
      return groupPush(context, item.item.value, identity, (value) => done({ result: { $case: 'broadcast', value } }));
    default:
      return done({ result: undefined });
  }
}
