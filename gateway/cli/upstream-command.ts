import { UsageError } from '../lib/errors.ts';
import { createLogger } from '../lib/logger.ts';
import { startExampleZone } from '../zone-server/example-zone.ts';
import { ZoneListenError, ZoneOptionsError } from '../zone-server/zone-server.ts';
import { exitCodes } from './command-error.ts';
import { addressList, parseFlags, required, wholeNumber } from './flags.ts';
import { channelCredentials, serverCredentials, tlsFlags, tlsHelp } from './grpc-flags.ts';
import { onStopSignal } from './signals.ts';

const usage = `gatesvr upstream: an example zone

Usage: gatesvr upstream --zone ID [flags]

It answers echo (the data), hello, login, and push-me with data N, which pushes "push 1" to "push N".

Flags:
  --zone ID             which zone it serves: 001 and up
  --addr HOST:PORT      where it listens; default localhost:9001
  --advertise ADDR      where gateways reach it; default --addr
  --gateway ADDR,ADDR   the gateways' gRPC addresses; default localhost:8092
  --weight N            its share against the zone's other endpoints; default 1
  --log-level LEVEL     trace, debug, info, warn, error; default info
${tlsHelp}

Examples:
  gatesvr upstream --zone 001 --addr localhost:9001 --gateway localhost:8092
  gatesvr upstream --zone 002 --addr :9002 --advertise 10.0.0.7:9002 --gateway gw-a:8092,gw-b:8092 \\
    --ca ca.pem --cert zone.pem --key zone.key
`;

const flags = {
  zone: { type: 'string' },
  addr: { type: 'string', default: 'localhost:9001' },
  advertise: { type: 'string' },
  gateway: { type: 'string', default: 'localhost:8092' },
  weight: { type: 'string', default: '1' },
  'log-level': { type: 'string', default: 'info' },
  help: { type: 'boolean', short: 'h' },
  ...tlsFlags,
} as const;

const levels = ['trace', 'debug', 'info', 'warn', 'error'] as const;

/** The `upstream` subcommand. @returns the exit code. @throws {UsageError} */
export async function main(argv: readonly string[]): Promise<number> {
  const { values } = parseFlags(argv, flags);
  if (values.help) {
    process.stdout.write(usage);
    return exitCodes.ok;
  }
  const level = levels.find((name) => name === values['log-level']);
  if (level === undefined) throw new UsageError(`--log-level: ${values['log-level']}: expected ${levels.join(', ')}`);
  const zoneId = required('zone', values.zone, 'a zone such as 001');
  const log = createLogger({ level, file: undefined, maxBytes: 0, files: 0 });
  const channel = channelCredentials(values);
  const options = {
    zoneId,
    address: values.addr,
    gateways: addressList('gateway', values.gateway),
    weight: wholeNumber('weight', values.weight, 1, 1_000_000),
    credentials: { server: serverCredentials(values), channel: () => channel },
    log,
    ...(values.advertise === undefined ? {} : { advertiseAddress: values.advertise }),
  };
  const stopped = Promise.withResolvers<string>();
  const forget = onStopSignal(stopped.resolve);
  const zone = await startExampleZone(options).catch((error) => {
    const usageMistake = error instanceof ZoneListenError || error instanceof ZoneOptionsError;
    throw usageMistake ? new UsageError(error.message) : error;
  });
  log.info({ zone: zoneId, address: zone.address, gateways: options.gateways }, 'zone serves');
  log.info({ signal: await stopped.promise }, 'zone stops');
  await zone.stop();
  forget();
  await log.flush();
  return exitCodes.ok;
}
