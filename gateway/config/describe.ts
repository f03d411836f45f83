import { schema, sectionTitles } from './schema.ts';
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
