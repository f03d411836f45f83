import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

/** What is read of a service of docker-compose.yaml. */
export interface ComposeService {
  readonly image: string;
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: readonly string[] | Readonly<Record<string, unknown>>;
}

export interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const root = new URL('../../', import.meta.url);

/** The text of a file of the repository. */
export function repositoryText(path: string): string {
  return readFileSync(new URL(path, root), 'utf8');
}

/** docker-compose.yaml with its anchors merged and IMAGE_TAG filled in. */
export function readCompose(imageTag: string): ComposeFile {
  const text = repositoryText('docker-compose.yaml').replaceAll(/\$\{IMAGE_TAG:-[^}]*\}/g, imageTag);
  return parse(text, { merge: true });
}
