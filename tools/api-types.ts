import { parse } from 'yaml';

/** What is read of the schema of a CustomResourceDefinition. */
interface Schema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  readonly description?: string;
  readonly enum?: readonly string[];
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
}

interface Definition {
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string };
    readonly versions: readonly { readonly name: string; readonly schema: { readonly openAPIV3Schema: Schema } }[];
  };
}

/**
 * TypeScript types of what the API server hands out: a field with a default is always there.
 * @param yaml a CustomResourceDefinition with one version.
 * @param path where it is read from, for the head of the file.
 */
export function apiTypes(yaml: string, path: string): string {
  const { group, names, versions } = (parse(yaml) as Definition).spec;
  const version = versions[0];
  if (version === undefined || versions.length !== 1) throw new Error(`${path}: expected one version`);
  const schema = version.schema.openAPIV3Schema;
  const interfaces: string[] = [];
  const { spec, status } = schema.properties ?? {};
  if (spec === undefined || status === undefined) throw new Error(`${path}: expected spec and status`);
  writeInterface(interfaces, `${names.kind}Spec`, spec);
  writeInterface(interfaces, `${names.kind}Status`, status);
  return [
    `// Generated from ${path}: npm run generate. Do not edit.`,
    "import type { KubeObject } from '../kube-api.ts';",
    '',
    ...comment(schema.description, ''),
    `export interface ${names.kind} extends KubeObject {`,
    `  readonly apiVersion: '${group}/${version.name}';`,
    `  readonly kind: '${names.kind}';`,
    `  readonly spec: ${names.kind}Spec;`,
    `  readonly status?: ${names.kind}Status;`,
    '}',
    ...interfaces.flatMap((text) => ['', text]),
    '',
  ].join('\n');
}

/** Appends the interface and, after it, those of the objects within. */
function writeInterface(interfaces: string[], name: string, schema: Schema): void {
  const place = interfaces.push('') - 1;
  const lines = Object.entries(schema.properties ?? {}).flatMap(([property, child]) => {
    const there = child.default !== undefined || schema.required?.includes(property) === true;
    const type = typeOf(interfaces, `${name}${capitalised(property)}`, child);
    return [...comment(child.description, '  '), `  readonly ${property}${there ? '' : '?'}: ${type};`];
  });
  interfaces[place] = [`export interface ${name} {`, ...lines, '}'].join('\n');
}

function typeOf(interfaces: string[], name: string, schema: Schema): string {
  if (schema['x-kubernetes-int-or-string'] === true) return 'string | number';
  if (schema.enum !== undefined) return schema.enum.map((value) => `'${value}'`).join(' | ');
  switch (schema.type) {
    case 'string':
    case 'boolean':
      return schema.type;
    case 'integer':
      return 'number';
    case 'array':
      return arrayOf(typeOf(interfaces, name.replace(/s$/, ''), schema.items ?? {}));
    case 'object':
      if (schema.additionalProperties !== undefined) {
        return `Readonly<Record<string, ${typeOf(interfaces, name, schema.additionalProperties)}>>`;
      }
      if (schema['x-kubernetes-preserve-unknown-fields'] === true) return 'Readonly<Record<string, unknown>>';
      writeInterface(interfaces, name, schema);
      return name;
    default:
      throw new Error(`${name}: no type for ${JSON.stringify(schema)}`);
  }
}

function arrayOf(type: string): string {
  return type.includes(' | ') ? `readonly (${type})[]` : `readonly ${type}[]`;
}

function comment(text: string | undefined, indent: string): string[] {
  return text === undefined ? [] : [`${indent}/** ${text} */`];
}

function capitalised(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
