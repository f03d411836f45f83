import { type Config, schema, sectionTitles } from './schema.ts';
import { type Entry, entries } from './table.ts';

interface Section {
  /** The name in YAML. */
  readonly name: string;
  readonly title: string;
  readonly entries: readonly Entry[];
}

const sections: readonly Section[] = (Object.keys(schema) as (keyof typeof schema)[]).map((group) => {
  const members = entries.filter((entry) => entry.route[0] === group);
  return { name: members[0]?.path.split('.')[0] ?? group, title: sectionTitles[group], entries: members };
});

function shownDefault(entry: Entry): string {
  return entry.key.defaultText === '' ? 'not set' : entry.key.defaultText;
}

/** All keys as flags, for `--help`. */
export function configHelp(): string {
  const lines = [
    '      --config FILE  YAML file with the keys below',
    '      --check-config  check the configuration and end',
    '',
  ];
  for (const section of sections) {
    lines.push(`${section.title}:`);
    for (const entry of section.entries) {
      const argument = entry.key.kind === 'switch' ? '' : ` ${entry.key.kind.toUpperCase()}`;
      lines.push(`      ${entry.flag}${argument}`, `          ${entry.key.description} [${shownDefault(entry)}]`);
    }
    lines.push('');
  }
  lines.push(
    'A flag --a-b-c is the variable GATESVR_A_B_C and the key a.b_c of the file (keys under server. drop that word).',
  );
  lines.push('Flags win over variables, variables over the file, the file over the defaults in brackets.');
  return lines.join('\n');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

/** All keys as Markdown tables, for docs/configuration.md. */
export function configTables(): string {
  const parts = sections.map((section) => {
    const rows = section.entries.map(
      ({ path, flag, variable, key }) =>
        `| \`${path}\` | ${key.defaultText === '' ? '–' : `\`${key.defaultText}\``} | \`${flag}\` \`${variable}\` | ${cell(key.description)} Expected: ${cell(key.expected)}. |`,
    );
    return [
      `## ${section.title} (\`${section.name}\`)`,
      '',
      '| key | default | flag, variable | meaning |',
      '|---|---|---|---|',
      ...rows,
    ].join('\n');
  });
  return `${parts.join('\n\n')}\n`;
}

/** The value of a default configuration as YAML; durations and lists as they are written, derived values computed. */
function templateValue({ key, route }: Entry, defaults: Config): string {
  if (key.derive === undefined)
    return key.kind === 'list' ? `[${key.defaultText.replaceAll(',', ', ')}]` : yamlText(key.defaultText);
  const value = route.reduce<unknown>((node, name) => (node as Record<string, unknown>)[name], defaults);
  return typeof value === 'number' ? String(value) : '""';
}

function yamlText(text: string): string {
  return text === '' || text.startsWith(':') ? JSON.stringify(text) : text;
}

/**
 * A YAML file with every key, its meaning and its default, for test-config.yaml.
 * @param defaults what `loadConfig` gives when nothing is set
 */
export function configTemplate(defaults: Config): string {
  const lines = templateHead.split('\n');
  for (const section of sections) {
    lines.push('', `# ${section.title}`);
    let open: readonly string[] = [];
    for (const entry of section.entries) {
      const names = entry.path.split('.');
      const groups = names.slice(0, -1);
      groups.forEach((group, depth) => {
        if (open[depth] !== group) lines.push(`${'  '.repeat(depth)}${group}:`);
      });
      open = groups;
      const indent = '  '.repeat(groups.length);
      const derived = entry.key.derive === undefined ? '' : ` Not given: ${entry.key.defaultText}.`;
      lines.push(`${indent}# ${entry.key.description}${derived}`);
      lines.push(`${indent}# Expected: ${entry.key.expected}.`);
      lines.push(`${indent}${names.at(-1)}: ${templateValue(entry, defaults)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

const templateHead = `# Every configuration key of GateSvr with its default; a value of "" or nothing means the default.
# Flags win over variables, variables over this file: quic_addr under server is --quic-addr and GATESVR_QUIC_ADDR,
# backup.heartbeat.interval is --backup-heartbeat-interval and GATESVR_BACKUP_HEARTBEAT_INTERVAL.
# Check a file without starting: npm run -s gatesvr -- gateway --config FILE --check-config
# Generated from gateway/config/schema.ts by npm run generate; a test keeps it so.`;
