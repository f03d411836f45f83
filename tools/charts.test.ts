import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const root = new URL('../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const charts = ['gatesvr', 'gatesvr-crds'];

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
}

const rules: Rule[] = parse(read('charts/gatesvr/alerts.yaml')).groups.flatMap(
  (group: { rules: Rule[] }) => group.rules,
);

/** The names of metrics in PromQL, without what the buckets of histograms append. */
function metricsIn(text: string): Set<string> {
  return new Set([...text.matchAll(/\bgatesvr_[a-z_]+/g)].map(([name]) => name.replace(/_bucket$/, '')));
}

/** The names of metrics that the sources make. */
function madeMetrics(): Set<string> {
  const files = execFileSync('git', ['ls-files', 'gateway/*.ts', 'operator/*.ts'], {
    cwd: root,
    encoding: 'utf8',
  });
  const texts = files
    .trim()
    .split('\n')
    .filter((path) => !path.includes('.test.'))
    .map(read);
  return new Set(texts.flatMap((text) => [...text.matchAll(/'(gatesvr_[a-z_]+)'/g)].map(([, name]) => name ?? '')));
}

const made = madeMetrics();

describe('charts', () => {
  it.each(charts)('%s has the version of the package', (name) => {
    const { version, appVersion } = parse(read(`charts/${name}/Chart.yaml`));
    expect([version, appVersion]).toEqual(Array(2).fill(JSON.parse(read('package.json')).version));
  });

  it('have a schema for every value', () => {
    const { properties } = JSON.parse(read('charts/gatesvr/values.schema.json'));
    expect(
      Object.keys(properties)
        .filter((name) => name !== 'global')
        .sort(),
    ).toEqual(Object.keys(parse(read('charts/gatesvr/values.yaml'))).sort());
  });
});

describe('alerts', () => {
  const runbooks = read('docs/runbooks.md');

  it.each(rules.map((rule) => [rule.alert, rule] as const))(
    '%s has a runbook and metrics that there are',
    (alert, rule) => {
      expect(runbooks).toContain(`\n## ${alert}\n`);
      expect(rule.labels.severity).toMatch(/^(critical|warning)$/);
      expect([...metricsIn(rule.expr)].filter((name) => !made.has(name))).toEqual([]);
    },
  );

  it('are all that the runbooks are about', () => {
    const own = [...read('charts/gatesvr/templates/prometheusrule.yaml').matchAll(/alert: (\w+)/g)].map(
      ([, name]) => name,
    );
    const described = [...runbooks.matchAll(/^## (\w+)$/gm)].map(([, name]) => name);
    expect(described.sort()).toEqual([...rules.map(({ alert }) => alert), ...own].sort());
  });
});

describe('the dashboard', () => {
  const text = read('charts/gatesvr/dashboards/gateways.json');

  it('shows metrics that there are', () => {
    const { panels } = JSON.parse(text);
    expect(panels.length).toBeGreaterThan(8);
    expect([...metricsIn(text.replaceAll('gatesvr_role, namespace', ''))].filter((name) => !made.has(name))).toEqual(
      [],
    );
  });
});
