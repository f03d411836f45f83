import type { ForwardCall, ForwardResult } from '../../proto/gen/fleet.ts';

/** What a call between pairs asks for, or its result, without the number that the link gives it. */
type CallBody = NonNullable<ForwardCall['call']>;

/** The identity of a push from a PushStream; without it the push_id is the identity. */
export interface ProducerNumber {
  readonly producerId: string;
  readonly number: number;
}

export const noProducer: ProducerNumber = { producerId: '', number: 0 };

/** Serialised size is not worth computing: data and what surrounds it. */
const envelopeBytes = 256;

export function forwardCall(call: CallBody, producer: ProducerNumber = noProducer, probe = false): ForwardCall {
  return { callId: 0n, producerId: producer.producerId, number: BigInt(producer.number), probe, call };
}

/** A result that is no refusal by a backup. */
export function resultOf(callId: bigint, result: NonNullable<ForwardResult['result']>): ForwardResult {
  return { callId, notPrimary: false, redirect: '', result };
}

export function bytesOf({ call }: ForwardCall): number {
  switch (call?.$case) {
    case 'unicast':
    case 'broadcast':
    case 'group':
      return call.value.data.length + envelopeBytes;
    case 'arrival':
      return call.value.image.length + envelopeBytes;
    case 'join':
    case 'leave':
    case 'presence':
      return 32 * call.value.openids.length + envelopeBytes;
    default:
      return envelopeBytes;
  }
}

/** Whether the owner recognises a repeat of it. */
export function isRepeatable({ call, producerId }: ForwardCall): boolean {
  const isPush = call?.$case === 'unicast' || call?.$case === 'broadcast' || call?.$case === 'group';
  return !isPush || producerId !== '' || call.value.pushId !== '';
}
