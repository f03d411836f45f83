import { createHash, timingSafeEqual } from 'node:crypto';

export type BearerVerdict = 'ok' | 'missing' | 'wrong';

/**
 * Checks an HTTP Authorization header (RFC 6750 section 2.1) in a time that tells nothing about the tokens.
 * @param tokens all that are accepted; with none, nothing is.
 */
export function checkBearer(header: string | undefined, tokens: readonly Uint8Array[]): BearerVerdict {
  const given = /^bearer +([^\s]+) *$/i.exec(header ?? '')?.[1];
  if (given === undefined) {
    return 'missing';
  }
  const digest = sha256(Buffer.from(given));
  let matched = false;
  for (const token of tokens) {
    matched = timingSafeEqual(digest, sha256(token)) || matched;
  }
  return matched ? 'ok' : 'wrong';
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}
