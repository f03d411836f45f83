import type { TokenPlace } from '../../session/resume-token.ts';

/** What the simulated client and gateway say to each other: the protocol's fields, not encoded; tokens cannot be forged. */
export type UpFrame =
  | {
      readonly type: 'start';
      readonly openid: string;
      readonly token: TokenPlace | undefined;
      readonly sessionId: string;
      readonly epoch: number;
      readonly receivedSeqId: number;
    }
  | { readonly type: 'request'; readonly clientSeq: number; readonly msgId: number }
  | { readonly type: 'ack'; readonly upTo: number }
  | { readonly type: 'stop' };

export type DownFrame =
  | {
      readonly type: 'started';
      readonly sessionId: string;
      readonly resumed: boolean;
      readonly token: TokenPlace;
      readonly nextSeqId: number;
      readonly maxClientSeq: number;
      readonly epoch: number;
    }
  | { readonly type: 'start-refused'; readonly code: number }
  | { readonly type: 'message'; readonly seqId: number; readonly msgId: number; readonly content: number }
  | { readonly type: 'error'; readonly msgId: number; readonly code: number }
  | { readonly type: 'goaway'; readonly code: number };

export function frameBytes(frame: UpFrame | DownFrame): number {
  switch (frame.type) {
    case 'start':
    case 'started':
      return 120;
    case 'message':
      return 24;
    default:
      return 12;
  }
}
