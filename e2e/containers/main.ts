/**
 * `make e2e-containers`: the gateway's image and Redis as containers, by testcontainers. Ends with 0 and one line that says why when
 * there is no Docker API.
 */
import { spawn } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { buildImages } from '../../tools/images/build-images.ts';
import { ImageError } from '../../tools/images/container-tool.ts';
import { provideBaseImages } from '../images/base-images.ts';
import { type DockerApi, findDockerApi } from './docker-api.ts';

const redisImage = 'docker.io/library/redis:7-bookworm';
const config = join(import.meta.dirname, 'vitest.config.ts');
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function test(api: DockerApi): Promise<number> {
  const { env } = process;
  const imageTag = env['IMAGE_TAG'] || 'e2e';
  const { tool, tags } = await buildImages({ names: ['gateway'], imageTag, containerTool: api.tool, env, say });
  const cacheFolder = join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'gatesvr', 'images');
  await provideBaseImages([redisImage], { tool, cacheFolder, say });
  // podman keeps what was built here under localhost/, and its API would look for docker.io/.
  const gatewayImage = tool.name === 'docker' ? tags[0] : `localhost/${tags[0]}`;
  const variables = {
    ...env,
    ...api.env,
    GATESVR_E2E_GATEWAY_IMAGE: gatewayImage,
    GATESVR_E2E_REDIS_IMAGE: redisImage,
  };
  const vitest = spawn('vitest', ['run', '--config', config], { stdio: 'inherit', env: variables });
  return new Promise((resolve) => vitest.on('close', (status) => resolve(status ?? 1)));
}

const api = await findDockerApi();
if (typeof api === 'string') {
  say(`skipped: ${api}`);
} else {
  try {
    process.exitCode = await test(api);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 2;
  } finally {
    await api.stop();
  }
}
