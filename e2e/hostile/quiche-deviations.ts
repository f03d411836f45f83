/**
 * Violations that quiche 0.18 answers otherwise than the RFC says, by their name in violations.py: some with another
 * code, some with nothing.
 */
export const unlikeTheRfc: readonly string[] = [
  // Ignored.
  'NEW_TOKEN from a client, 19.7',
  'STREAM_DATA_BLOCKED on a stream only the server sends on, 19.13',
  'ACK of packets never sent, 13.1',
  'reserved bits that are not 0, 17.3.1',
  // Kept, without a bound: one of the reasons why it must not serve in production.
  'CRYPTO far ahead, 7.5',
  'CRYPTO beyond 2^62, 19.6',
  // Answered under keys that the client may not have yet.
  'STREAM in an Initial, 12.4',
  // Closed with another code.
  'a frame that is cut, 12.4',
  'NEW_CONNECTION_ID for one number with two ids, 19.15',
  'more ids than allowed, 5.1.1',
];
