import { rootCertificates } from 'node:tls';
import {
  ClosedError,
  ConnectError,
  type ConnectOptions,
  GatesvrClient,
  type GatesvrError,
  RequestError,
} from '../client/client.ts';
import { UsageError } from '../lib/errors.ts';
import { interact } from './client-interactive.ts';
import { type ClientOutput, clientOutput } from './client-output.ts';
import { CommandError, exitCodes } from './command-error.ts';
import { addressList, duration, fileContents, headersOf, parseFlags, required } from './flags.ts';
import { onStopSignal } from './signals.ts';

const usage = `gatesvr client: connect as a client

Usage: gatesvr client --openid ID [flags]

With --action it sends one request and prints the response's bytes and a newline. With --watch it prints pushes until it is
stopped. With neither it reads lines "ACTION DATA" and prints the responses; /help says more.

Flags:
  --addr ADDR,ADDR      the gateways, HOST:PORT; default localhost:8453
  --openid ID           who it is
  --token TOKEN         the proof of it (gatesvr admin token makes one)
  --token-file FILE     the same, from a file
  --ca FILE             authorities to trust, PEM; default: the well-known ones
  --insecure            trust any certificate (development only)
  --server-name NAME    the name in the gateway's certificate; default: the host of --addr
  --action NAME         the request's action
  --data TEXT           the request's data; - reads standard input
  --header NAME=VALUE   a header of the request; may be repeated
  --watch               print pushes until SIGINT or SIGTERM
  --json                one object a line: {"type","seq_id","data"}, data in base64
  --timeout DURATION    for connecting, and for the answer; default 5s

Examples:
  gatesvr client --addr localhost:8453 --openid alice --insecure --action echo --data hi
  gatesvr client --openid alice --insecure --action push-me --data 3 --watch --json
  gatesvr client --addr gw-a:8453,gw-b:8453 --openid alice --ca ca.pem --token "$TOKEN"
`;

const flags = {
  addr: { type: 'string', default: 'localhost:8453' },
  openid: { type: 'string' },
  token: { type: 'string' },
  'token-file': { type: 'string' },
  ca: { type: 'string' },
  insecure: { type: 'boolean' },
  'server-name': { type: 'string' },
  action: { type: 'string' },
  data: { type: 'string' },
  header: { type: 'string', multiple: true },
  watch: { type: 'boolean' },
  json: { type: 'boolean' },
  timeout: { type: 'string', default: '5s' },
  help: { type: 'boolean', short: 'h' },
} as const;

function readFlags(argv: readonly string[]) {
  return parseFlags(argv, flags).values;
}

type Flags = ReturnType<typeof readFlags>;

/** The `client` subcommand. @returns the exit code. @throws {UsageError} or {CommandError} */
export async function main(argv: readonly string[]): Promise<number> {
  const values = readFlags(argv);
  if (values.help) {
    process.stdout.write(usage);
    return exitCodes.ok;
  }
  if (values.data !== undefined && values.action === undefined) throw new UsageError('--data: needs --action');
  const headers = headersOf(values.header);
  const timeoutMs = duration('timeout', values.timeout);
  const output = clientOutput(values.json === true);
  const options = connectOptions(values, timeoutMs, output);
  const stopped = Promise.withResolvers<string>();
  onStopSignal(stopped.resolve);
  const connecting = connect(options);
  const client = await Promise.race([connecting, stopped.promise]);
  if (typeof client === 'string') return exitCodes.failure;
  try {
    if (values.action !== undefined) {
      const asked = ask(client, values.action, dataOf(values), { headers, timeoutMs, retry: false }, output);
      const answered = await Promise.race([asked, stopped.promise]);
      if (answered !== undefined) return exitCodes.failure;
      if (!values.watch) return exitCodes.ok;
    } else if (!values.watch) {
      await Promise.race([interact(client, output, timeoutMs), stopped.promise, ended(client)]);
      return exitCodes.ok;
    }
    await Promise.race([stopped.promise, ended(client)]);
    return exitCodes.ok;
  } finally {
    await client.close();
  }
}

function connectOptions(values: Flags, timeoutMs: number, output: ClientOutput): ConnectOptions {
  const token =
    values['token-file'] === undefined
      ? values.token
      : fileContents('token-file', values['token-file']).toString().trim();
  const interactive = values.action === undefined && !values.watch;
  const prints = values.watch === true || interactive;
  return {
    endpoints: addressList('addr', values.addr),
    openid: required('openid', values.openid, 'who connects'),
    trust: trustOf(values),
    connectDeadlineMs: timeoutMs,
    onPush: (data, info) => {
      if (prints) output.write('notify', data, info);
    },
    onStateChange: (state, detail) => {
      if (prints && state === 'reconnecting') output.note(`reconnecting: ${detail.reason}`);
      if (prints && state === 'connected' && detail.resumed === true) output.note(`resumed at ${detail.endpoint}`);
    },
    onSessionReset: (reset) => {
      output.note(`${reset.codeName}: the session was lost, pushes may be missing; a new one begins`);
    },
    onWarning: (error) => output.note(error.message),
    ...(token === undefined ? {} : { token }),
    ...(values['server-name'] === undefined ? {} : { serverName: values['server-name'] }),
  };
}

function trustOf(values: Flags): ConnectOptions['trust'] {
  if (values.insecure && values.ca !== undefined) throw new UsageError('--insecure and --ca: expected one of them');
  if (values.insecure) return { insecure: true };
  return { ca: values.ca === undefined ? rootCertificates.join('\n') : fileContents('ca', values.ca).toString() };
}

function dataOf(values: Flags): Uint8Array {
  if (values.data === '-') return fileContents('data', '/dev/stdin');
  return Buffer.from(values.data ?? '');
}

async function connect(options: ConnectOptions): Promise<GatesvrClient> {
  try {
    return await GatesvrClient.connect(options);
  } catch (error) {
    if (error instanceof ConnectError) throw commandError(error);
    if (error instanceof RangeError || error instanceof TypeError) throw new UsageError(`--${error.message}`);
    throw error;
  }
}

async function ask(
  client: GatesvrClient,
  action: string,
  data: Uint8Array,
  options: Parameters<GatesvrClient['request']>[2],
  output: ClientOutput,
): Promise<void> {
  try {
    const response = await client.requestWithInfo(action, data, options);
    output.write('response', response.data, response.info);
  } catch (error) {
    throw error instanceof RequestError ? commandError(error) : error;
  }
}

/** Resolves when the client was closed in order. @throws {CommandError} when a gateway's code or the network ended it. */
async function ended(client: GatesvrClient): Promise<void> {
  const error = await client.closed;
  if (error !== undefined && !(error instanceof ClosedError && error.code === 0)) throw commandError(error);
}

function commandError(error: GatesvrError): CommandError {
  const text = error.message.startsWith(error.codeName) ? error.message : `${error.codeName}: ${error.message}`;
  if (error.code !== 0) return new CommandError(exitCodes.refused, text);
  return new CommandError(error instanceof ConnectError ? exitCodes.cannotConnect : exitCodes.failure, text);
}
