import { GenericContainer, type StartedNetwork, type StartedTestContainer, Wait } from 'testcontainers';

const startDeadlineMs = 60_000;
/** All that the image names: podman lists the others without an address, and testcontainers would wait for one. */
const gatewayPorts = [8080, 8092, 8093, 8094, 9090, '8453/udp' as const];
const cli = '/app/dist/gateway/cli/gatesvr.js';

/** A container of the gateway's image as the strictest cluster runs it: nothing of the image can be written, no capabilities. */
class HardenedContainer extends GenericContainer {
  constructor(image: string) {
    super(image);
    this.hostConfig.ReadonlyRootfs = true;
    this.hostConfig.CapDrop = ['ALL'];
    this.hostConfig.SecurityOpt = ['no-new-privileges'];
  }
}

/** A variable that e2e/containers/main.ts sets. */
function suiteVariable(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: run these tests by make e2e-containers`);
  return value;
}

export function startGateway(
  network: StartedNetwork,
  alias: string,
  flags: readonly string[],
): Promise<StartedTestContainer> {
  return new HardenedContainer(suiteVariable('GATESVR_E2E_GATEWAY_IMAGE'))
    .withNetwork(network)
    .withNetworkAliases(alias)
    .withCommand(['gateway', ...flags])
    .withExposedPorts(...gatewayPorts)
    .withWaitStrategy(Wait.forHttp('/ready', 8080).forStatusCode(200))
    .withStartupTimeout(startDeadlineMs)
    .start();
}

export function startZone(
  network: StartedNetwork,
  zone: string,
  gateways: readonly string[],
): Promise<StartedTestContainer> {
  const alias = `zone-${zone}`;
  return new HardenedContainer(suiteVariable('GATESVR_E2E_GATEWAY_IMAGE'))
    .withNetwork(network)
    .withNetworkAliases(alias)
    .withExposedPorts(...gatewayPorts)
    .withCommand([
      'upstream',
      '--zone',
      zone,
      '--addr',
      ':9001',
      '--advertise',
      `${alias}:9001`,
      '--gateway',
      gateways.join(','),
    ])
    .withWaitStrategy(Wait.forLogMessage('zone serves'))
    .withStartupTimeout(startDeadlineMs)
    .start();
}

export function startRedis(network: StartedNetwork): Promise<StartedTestContainer> {
  return new GenericContainer(suiteVariable('GATESVR_E2E_REDIS_IMAGE'))
    .withNetwork(network)
    .withExposedPorts(6379)
    .withWaitStrategy(Wait.forLogMessage('Ready to accept connections'))
    .withStartupTimeout(startDeadlineMs)
    .start();
}

/** Runs the command line inside a container. @returns what it printed */
export async function gatesvr(container: StartedTestContainer, args: readonly string[]): Promise<string> {
  const { exitCode, output } = await container.exec(['/usr/local/bin/node', cli, ...args]);
  if (exitCode !== 0) throw new Error(`gatesvr ${args.join(' ')} ended with ${exitCode}: ${output}`);
  return output.trim();
}
