import { METRICS, type MetricDefinition } from '../../src/telemetry/instruments/metric-list.js';
import { GENERATED, page, table } from './markdown.js';

const INTRODUCTION = `# Metrics

\`GET /metrics\` has these metrics in the text format of Prometheus. [operations.md](operations.md#logs-health-and-metrics) explains how
to reach it. \`deploy/prometheus/alerts.yaml\` and \`deploy/grafana/mediagraph.json\` use them; [operations.md](operations.md#alerts) has a
paragraph for each alert. This page is generated from the list of which the server makes its metrics.

- The values of every label are a closed set, or names from the configuration. No label contains a secret, an id of a media or a
  message, or a URL.
- A histogram has the suffixes \`_bucket\` (with the label \`le\`), \`_sum\` and \`_count\`.
- Gauges of media, jobs, events and stored bytes are read from the database, so all replicas report the same values: use \`max\`, not
  \`sum\`. Counters and histograms are of one process.`;

/** docs/metrics.md */
export function metricsPage(): string {
  const rows = Object.entries<MetricDefinition>(METRICS).map(([name, { type, help, labels = {} }]) => [
    `\`${name}\``,
    type,
    Object.entries(labels)
      .map(([label, values]) => `\`${label}\`: ${values}`)
      .join('<br>'),
    help,
  ]);
  return page([GENERATED, INTRODUCTION, table(['metric', 'type', 'labels', 'meaning'], rows)]);
}
