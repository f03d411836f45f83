import { UsageError } from '../lib/errors.ts';

/** Below this a secret can be guessed by somebody who holds a token. */
export const secretBytesWanted = 32;

/**
 * The secrets in a file's contents: one a line, the first one signs, all are accepted; contents that are no text are one
 * secret as they are.
 * @param place the configuration key and file, for the error.
 * @throws UsageError when there is none.
 */
export function parseSecrets(contents: Uint8Array, place: string): Uint8Array[] {
  const secrets = isText(contents)
    ? Buffer.from(contents)
        .toString('utf8')
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== '')
        .map((line) => Buffer.from(line))
    : [contents];
  if (secrets.length === 0) {
    throw new UsageError(`${place} holds no secret, expected at least one line`);
  }
  return secrets;
}

function isText(contents: Uint8Array): boolean {
  try {
    // Control characters but tab, line feed and carriage return mean random bytes that happen to decode.
    return !/[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(new TextDecoder('utf-8', { fatal: true }).decode(contents));
  } catch {
    return false;
  }
}
