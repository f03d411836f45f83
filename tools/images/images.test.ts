import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { baseImages, buildImages } from './build-images.ts';
import { buildArguments, findContainerTool } from './container-tool.ts';

function repositoryText(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}

const request = {
  tag: 'gatesvr/gateway:e2e',
  file: 'Dockerfile.gateway',
  context: '.',
  args: { VERSION: '1.2.3' },
  labels: { made: 'here' },
  secrets: { npmrc: '/home/me/.npmrc' },
};

describe('the build command', () => {
  it('is what docker understands', () => {
    expect(buildArguments('docker', request).join(' ')).toBe(
      'build --build-arg VERSION=1.2.3 --label made=here --secret id=npmrc,src=/home/me/.npmrc ' +
        '--tag gatesvr/gateway:e2e --file Dockerfile.gateway .',
    );
  });

  it.each(['podman', 'buildah'] as const)('of %s keeps the health check and needs no runtime', (tool) => {
    const args = buildArguments(tool, request).join(' ');
    expect(args).toContain('--isolation chroot --format docker');
    expect(args).toContain('--secret id=npmrc,src=/home/me/.npmrc');
  });
});

describe('what an image is built from', () => {
  it('is read from ARG …_IMAGE and FROM, not from stages', () => {
    const text = `ARG NODE_IMAGE=a/node:24\nFROM \${NODE_IMAGE} AS build\nFROM b/rust:1 AS rust\nFROM build\nFROM a/node:24\n`;
    expect(baseImages(text)).toEqual(['a/node:24', 'b/rust:1']);
  });

  it.each(['gateway', 'operator'])('is written in Dockerfile.%s with registry and tag', (name) => {
    const images = baseImages(repositoryText(`Dockerfile.${name}`));
    expect(images).toContain('docker.io/library/node:24-bookworm-slim');
    for (const image of images) expect(image).toMatch(/^docker\.io\/[a-z]+\/[a-z]+:[a-z0-9.-]+$/);
  });
});

describe.each(['gateway', 'operator'])('Dockerfile.%s', (name) => {
  const text = repositoryText(`Dockerfile.${name}`);
  const final = text.slice(text.lastIndexOf('\nFROM '));
  const app = text.slice(text.indexOf(' AS app\n'), text.indexOf(' AS compiled\n'));

  it('runs as nobody, without a shell', () => {
    expect(final).toMatch(/^USER 65532:65532$/m);
    expect(final).toMatch(/^ENTRYPOINT \["\/usr\/local\/bin\/node", /m);
    expect(final).toMatch(/HEALTHCHECK [^\n]*\\\n {2}CMD \["\/usr\/local\/bin\/node", "-e", /);
    expect(final).not.toMatch(/^RUN /m);
  });

  it('takes production dependencies only, and carries its bill of materials', () => {
    expect(text).toMatch(/npm install [^\n]*--omit=dev --omit=optional --ignore-scripts/);
    expect(app).toMatch(/^COPY --from=production \/src\/node_modules node_modules$/m);
    expect(app).toContain('sbom.cdx.json');
    expect(final).toMatch(/^FROM app$/m);
  });
});

describe('bad input', () => {
  const options = { names: [], imageTag: 'e2e', containerTool: 'podmann', env: {}, say: () => {} };

  it('names the variable, its value and what was expected', async () => {
    await expect(buildImages(options)).rejects.toThrow('CONTAINER_TOOL=podmann: expected docker, podman, buildah');
    const spaced = buildImages({ ...options, imageTag: 'a b' });
    await expect(spaced).rejects.toThrow('IMAGE_TAG=a b: expected letters, digits, . _ -');
  });

  it('says what could build images when nothing can', async () => {
    const path = process.env['PATH'];
    process.env['PATH'] = '/nowhere';
    try {
      await expect(findContainerTool('')).rejects.toThrow(
        'missing: docker with its engine running, podman, or buildah, to build images with',
      );
      await expect(findContainerTool('buildah')).rejects.toThrow('CONTAINER_TOOL=buildah does not work here');
    } finally {
      process.env['PATH'] = path;
    }
  });
});
