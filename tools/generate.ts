/** Writes the files that follow from the table of configuration keys and from the CRDs. Their test is generate.test.ts. */
import { readFileSync, writeFileSync } from 'node:fs';
import { configTables, configTemplate } from '../gateway/config/describe.ts';
import { loadConfig } from '../gateway/config.ts';
import { apiTypes } from './api-types.ts';

const root = new URL('../', import.meta.url);

export interface GeneratedFile {
  /** From the root of the repository. */
  readonly path: string;
  readonly text: string;
}

const marker = '<!-- the tables below are generated from gateway/config/schema.ts: npm run generate -->\n';

export function generatedFiles(): GeneratedFile[] {
  const { config } = loadConfig({ argv: [], env: {}, readFile: () => '' });
  const path = 'docs/configuration.md';
  const head = readFileSync(new URL(path, root), 'utf8').split(marker)[0];
  return [
    { path: 'test-config.yaml', text: configTemplate(config) },
    { path, text: `${head}${marker}\n${configTables()}` },
    apiFile('gatesvr'),
    apiFile('zone'),
    chartCrd('gatesvr'),
    chartCrd('zone'),
  ];
}

/** The CRD as a template of charts/gatesvr-crds: helm keeps it when the chart is removed, and knows its version. */
function chartCrd(name: string): GeneratedFile {
  const source = `crds/gatesvr.io_${name}s.yaml`;
  const annotations = [
    '  annotations:',
    '    helm.sh/resource-policy: keep',
    '    gatesvr.io/chart-version: {{ .Chart.Version | quote }}',
  ];
  const text = readFileSync(new URL(source, root), 'utf8');
  const annotated = text.replace(/^metadata:\n {2}name: .*\n/m, (metadata) => `${metadata}${annotations.join('\n')}\n`);
  const head = `{{- /* Generated from ${source}: npm run generate. Do not edit. */ -}}\n`;
  return { path: `charts/gatesvr-crds/templates/${name}s.yaml`, text: head + annotated };
}

function apiFile(name: string): GeneratedFile {
  const source = `crds/gatesvr.io_${name}s.yaml`;
  return { path: `operator/api/${name}.ts`, text: apiTypes(readFileSync(new URL(source, root), 'utf8'), source) };
}

if (import.meta.main) {
  for (const { path, text } of generatedFiles()) writeFileSync(new URL(path, root), text);
}
