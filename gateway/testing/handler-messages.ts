import { AckRequest, BusinessRequest, type ClientRequest, RequestType } from '../../proto/gen/message.ts';

function echo(text: string): Buffer {
  return Buffer.from(BusinessRequest.encode({ action: 'echo', data: Buffer.from(text) }).finish());
}

/** A BUSINESS request; its msg_id is 100 above its number. */
export function business(seqId: number, text = 'hi'): Partial<ClientRequest> {
  return { msgId: 100 + seqId, seqId: BigInt(seqId), type: RequestType.REQUEST_BUSINESS, payload: echo(text) };
}

export function ack(upTo: number): Partial<ClientRequest> {
  const payload = Buffer.from(AckRequest.encode({ ackUpTo: BigInt(upTo) }).finish());
  return { type: RequestType.REQUEST_ACK, payload };
}
