import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';
import { METRICS, type MetricDefinition } from '../../../src/telemetry/instruments/metric-list.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const ALERTS = `${ROOT}deploy/prometheus/alerts.yaml`;
const DASHBOARDS = `${ROOT}deploy/grafana/`;
/** What Prometheus adds. */
const TARGET_LABELS = ['instance', 'job', 'le'];
const DEFINITIONS: Readonly<Record<string, MetricDefinition>> = METRICS;

const alerts = z
  .object({
    groups: z.array(
      z.object({
        rules: z.array(
          z.object({
            alert: z.string(),
            expr: z.string(),
            for: z.string(),
            labels: z.object({ severity: z.enum(['warning', 'critical']) }),
            annotations: z.object({ summary: z.string(), runbook: z.string() }),
          }),
        ),
      }),
    ),
  })
  .parse(parse(readFileSync(ALERTS, 'utf8')))
  .groups.flatMap(({ rules }) => rules);

const dashboard = z.object({
  panels: z.array(z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })) })),
});

const dashboards = readdirSync(DASHBOARDS).filter((name) => name.endsWith('.json'));
const panels = dashboards.flatMap((name) =>
  dashboard
    .parse(JSON.parse(readFileSync(DASHBOARDS + name, 'utf8')))
    .panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ name: `${name}: ${title}`, expr }))),
);

/** The metric that a name in an expression means. */
function definitionOf(name: string): MetricDefinition | undefined {
  const family = name.replace(/_(bucket|sum|count)$/, '');
  return DEFINITIONS[name] ?? (DEFINITIONS[family]?.type === 'histogram' ? DEFINITIONS[family] : undefined);
}

/** What is wrong with an expression: metrics and labels that do not exist, and values that a label never has. */
function faultsOf(expr: string): string[] {
  const names = [...expr.matchAll(/\b(?:mediagraph|process|nodejs)_[a-z0-9_]+/g)].map(([name]) => name);
  if (names.length === 0) return ['no metric'];
  const faults = names.filter((name) => !definitionOf(name));
  const known = new Set([...TARGET_LABELS, ...names.flatMap((name) => Object.keys(definitionOf(name)?.labels ?? {}))]);
  for (const [, list = ''] of expr.matchAll(/\b(?:by|on|without|ignoring) ?\(([^)]*)\)/g))
    faults.push(
      ...list
        .split(',')
        .map((label) => label.trim())
        .filter((label) => !known.has(label)),
    );
  for (const [, name = '', selector = ''] of expr.matchAll(/([a-z0-9_]+)\{([^}]*)\}/g)) {
    const labels = definitionOf(name)?.labels ?? {};
    for (const [, label = '', operator = '', value = ''] of selector.matchAll(/(\w+)(=~|!~|!=|=)"([^"]*)"/g)) {
      const described = labels[label];
      if (described === undefined) faults.push(`${name}{${label}}`);
      else if (operator === '=' && described.includes('`') && !described.includes(`\`${value}\``))
        faults.push(`${name}{${label}="${value}"}`);
    }
  }
  return faults;
}

describe('the alerts and dashboards in deploy/', () => {
  it('use metrics and labels that exist', () => {
    const used = [...alerts.map(({ alert, expr }) => ({ name: alert, expr })), ...panels];
    expect(used.length).toBeGreaterThan(30);
    const faulty = used.map(({ name, expr }) => ({ name, faults: faultsOf(expr) }));
    expect(faulty.filter(({ faults }) => faults.length > 0)).toEqual([]);
  });

  it('are held to the list of metrics', () => {
    expect(faultsOf('rate(mediagraph_no_metric_total[5m])')).toEqual(['mediagraph_no_metric_total']);
    expect(faultsOf('sum by (nothing) (mediagraph_media)')).toEqual(['nothing']);
    expect(faultsOf('mediagraph_jobs_due{kind="copies"} > 1')).toEqual(['mediagraph_jobs_due{kind="copies"}']);
    expect(faultsOf('mediagraph_media_count')).toEqual(['mediagraph_media_count']);
  });

  it('contain every metric of Mediagraph, and each alert has a paragraph in the guide', () => {
    const text = [...alerts, ...panels].map(({ expr }) => expr).join('\n');
    const shown = (name: string) => new RegExp(`${name}(_bucket|_count)?\\b`).test(text);
    const missing = Object.keys(METRICS).filter((name) => name.startsWith('mediagraph_') && !shown(name));
    expect(missing).toEqual([]);
    const guide = readFileSync(`${ROOT}docs/operations.md`, 'utf8');
    for (const { alert, annotations } of alerts) {
      expect(guide).toMatch(new RegExp(`^### ${alert}\\n\\n[A-Z]`, 'm'));
      expect(annotations.runbook).toBe(`docs/operations.md#${alert.toLowerCase()}`);
    }
    const headings = [...guide.matchAll(/^### (Mediagraph\w+)$/gm)].map(([, name]) => name);
    expect(headings.sort()).toEqual(alerts.map(({ alert }) => alert).sort());
  });

  const hasPromtool = spawnSync('promtool', ['--version']).status === 0;
  (hasPromtool ? it : it.skip)('are rules that Prometheus accepts (needs promtool)', () => {
    expect(execFileSync('promtool', ['check', 'rules', ALERTS]).toString()).toContain('SUCCESS');
  });
});
