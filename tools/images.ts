/**
 * `make images`: builds the images of the gateway and the operator, or only those that are named. IMAGE_TAG is e2e unless given,
 * CONTAINER_TOOL the first of docker, podman and buildah that works. Exit code 2 when something is missing or does not build.
 */
import { buildImages, imageNames } from './images/build-images.ts';
import { ImageError } from './images/container-tool.ts';

const asked = process.argv.slice(2);
const unknown = asked.find((name) => !imageNames.some((known) => known === name));
const { IMAGE_TAG: imageTag = 'e2e', CONTAINER_TOOL: containerTool = '' } = process.env;
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};
try {
  if (unknown !== undefined) throw new ImageError(`${unknown}: expected ${imageNames.join(' or ')}`);
  const names = imageNames.filter((name) => asked.length === 0 || asked.includes(name));
  const { tags } = await buildImages({ names, imageTag: imageTag || 'e2e', containerTool, env: process.env, say });
  say(`built ${tags.join(', ')}`);
} catch (error) {
  if (!(error instanceof ImageError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
