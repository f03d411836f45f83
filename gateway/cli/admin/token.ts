import { issueHmacToken } from '../../auth/hmac.ts';
import { parseSecrets } from '../../auth/secrets.ts';
import { UsageError } from '../../lib/errors.ts';
import { exitCodes } from '../command-error.ts';
import { duration, fileContents, parseFlags, required } from '../flags.ts';
import { formatJson } from '../table.ts';

const usage = `gatesvr admin token: make an hmac token for a gateway with auth.mode hmac

Usage: gatesvr admin token --openid ID --secret-file FILE [flags]

Flags:
  --openid ID           whom it proves
  --secret-file FILE    the gateway's auth.hmac_secret_file; its first line signs
  --ttl DURATION        how long it is valid; default 1h
  --json                {"token","openid","expires"}

Examples:
  gatesvr admin token --openid alice --ttl 1h --secret-file secret.txt
  gatesvr client --openid alice --token "$(gatesvr admin token --openid alice --secret-file secret.txt)"
`;

const flags = {
  openid: { type: 'string' },
  'secret-file': { type: 'string' },
  ttl: { type: 'string', default: '1h' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

const openidBytesMax = 128;

/** `admin token`: needs no gateway. */
export async function token(argv: readonly string[]): Promise<number> {
  const { values } = parseFlags(argv, flags);
  if (values.help) {
    process.stdout.write(usage);
    return exitCodes.ok;
  }
  const openid = required('openid', values.openid, 'whom it proves');
  if (Buffer.byteLength(openid) > openidBytesMax)
    throw new UsageError(`--openid: expected at most ${openidBytesMax} bytes`);
  const file = required('secret-file', values['secret-file'], 'the file with the secret');
  const [secret] = parseSecrets(fileContents('secret-file', file), `--secret-file: ${file}`);
  if (secret === undefined) throw new UsageError(`--secret-file: ${file}: holds no secret`);
  const expires = Math.floor((Date.now() + duration('ttl', values.ttl)) / 1000);
  const made = issueHmacToken(secret, openid, expires);
  process.stdout.write(values.json ? formatJson({ token: made, openid, expires }) : `${made}\n`);
  return exitCodes.ok;
}
