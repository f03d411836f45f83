import { readFileSync } from 'node:fs';
import { certificateFiles, watchFiles } from './certificate-watch.ts';
import { type Config, configHelp, type LoadedConfig, loadConfig } from './config.ts';
import { type Certificate, makeDevCertificate } from './dev-certificate.ts';
import { startGateway } from './gateway.ts';
import { systemClock } from './lib/clock.ts';
import { errorMessage, UsageError } from './lib/errors.ts';
import { createLogger, type RootLogger } from './lib/logger.ts';
import type { Gateway } from './lifecycle.ts';

const usage = `gatesvr gateway: the QUIC gateway

Usage: gatesvr gateway [--config FILE] [--dev] [--check-config] [flags]

Examples:
  gatesvr gateway --dev
  gatesvr gateway --config test-config.yaml --check-config
  GATESVR_QUIC_ADDR=:9453 gatesvr gateway --config gatesvr.yaml --max-frame-bytes 32768

SIGTERM and SIGINT drain and stop. SIGHUP reads configuration and certificates again; a bad file keeps the old ones. Certificates that
change on disk are taken within seconds.

Flags:
`;

const readText = (path: string): string => readFileSync(path, 'utf8');

/**
 * The `gateway` subcommand: runs until a signal ends it.
 * @returns the exit code.
 * @throws UsageError on wrong configuration, a missing file or a port in use.
 */
export async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(usage + configHelp());
    return 0;
  }
  const load = () => loadConfig({ argv, env: process.env, readFile: readText });
  const loaded = load();
  if (loaded.checkOnly) {
    process.stdout.write(`${loaded.configFile ?? 'defaults, environment and flags'}: valid\n`);
    return 0;
  }
  const log = createLogger(loaded.config.log);
  sayAtStart(loaded, log);
  const certificate = await certificateOf(loaded.config);
  const gateway = await startGateway({
    config: loaded.config,
    certificate,
    clock: systemClock,
    log,
    readFile: readText,
    readBytes: (path) => readFileSync(path),
    kubernetesApiServer: apiServerOf(process.env),
  });
  const stopWatching = watchFiles(certificateFiles(loaded.config), readText, () => {
    renewCertificates(gateway, loaded.config, log);
  });
  const code = await untilStopped(gateway, log, async () => {
    const { config } = load();
    await gateway.reload(config, await certificateOf(config));
  });
  stopWatching();
  await log.flush();
  return code;
}

/** Where a pod finds the API server: Kubernetes sets both variables. */
function apiServerOf(env: NodeJS.ProcessEnv): string | undefined {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env;
  if (host === undefined || host === '') return undefined;
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function sayAtStart(loaded: LoadedConfig, log: RootLogger): void {
  for (const warning of loaded.warnings) log.warn({}, warning);
  for (const name of loaded.unknownVariables) log.debug({ name }, 'environment variable is no setting');
  if (!loaded.config.server.dev) return;
  log.warn({}, 'development mode: throw-away certificate, plaintext gRPC on loopback, no authentication');
}

/** What was put in place meanwhile; while it does not fit, as between the writing of two files, the old ones stay. */
function renewCertificates(gateway: Gateway, config: Config, log: RootLogger): void {
  certificateOf(config)
    .then((certificate) => gateway.renewCertificates(config, certificate))
    .then(
      () => log.info({}, 'certificates renewed'),
      (error) => log.error({ error: errorMessage(error) }, 'certificates refused, the old ones stay'),
    );
}

async function certificateOf({ server }: Config): Promise<Certificate> {
  if (server.certFile === undefined || server.keyFile === undefined) return makeDevCertificate(Date.now());
  return { certificate: readPem('cert_file', server.certFile), privateKey: readPem('key_file', server.keyFile) };
}

function readPem(key: string, path: string): string {
  try {
    return readText(path);
  } catch (error) {
    throw new UsageError(`server.${key}: ${path}: cannot be read: ${errorMessage(error)}`);
  }
}

/** Waits for SIGTERM or SIGINT, reloading on SIGHUP; a second signal stops at once. */
function untilStopped(gateway: Gateway, log: RootLogger, reload: () => Promise<void>): Promise<number> {
  return new Promise((resolve) => {
    let stopping = false;
    const stop = (signal: string) => {
      if (stopping) return resolve(1);
      stopping = true;
      log.info({ signal }, 'stopping');
      gateway.stop().then(
        () => resolve(0),
        (error) => {
          log.error({ error: errorMessage(error) }, 'stop failed');
          resolve(1);
        },
      );
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    process.on('SIGHUP', () => {
      reload().then(
        () => log.info({}, 'configuration reloaded'),
        (error) => log.error({ error: errorMessage(error) }, 'reload refused, the old configuration stays'),
      );
    });
  });
}
