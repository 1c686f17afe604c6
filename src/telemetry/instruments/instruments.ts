import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { METRICS, type MetricDefinition } from './metric-list.js';

type Name = keyof typeof METRICS;
type NamesOf<Type extends MetricDefinition['type']> = {
  [Each in Name]: (typeof METRICS)[Each] extends { readonly type: Type } ? Each : never;
}[Name];
type LabelsOf<Metric extends Name> = (typeof METRICS)[Metric] extends { readonly labels: infer Labels }
  ? keyof Labels & string
  : never;

/** Values of labels. A label that is left out makes another time series, so all of them are required. */
type Labels<Label extends string> = Readonly<Record<Label, string | number>>;

export interface Counting<Label extends string = never> {
  inc(labels: Labels<Label>, by?: number): void;
  /** Only for values that were counted elsewhere. */
  reset(): void;
}

export interface Gauging<Label extends string = never> {
  set(labels: Labels<Label>, value: number): void;
  inc(labels: Labels<Label>): void;
  dec(labels: Labels<Label>): void;
  /** Removes the series with these labels. */
  remove(labels: Labels<Label>): void;
  /** Removes all series of a metric with labels. */
  reset(): void;
}

export interface Observing<Label extends string = never> {
  observe(labels: Labels<Label>, value: number): void;
}

const NOTHING = { inc() {}, dec() {}, set() {}, remove() {}, reset() {}, observe() {} };

/** Makes the instruments of one app, each name once. With `metrics.enabled: false` they do nothing. */
export class Instruments {
  readonly #registry = new Registry();

  constructor(readonly isEnabled: boolean) {}

  get contentType(): string {
    return this.#registry.contentType;
  }

  counter<Metric extends NamesOf<'counter'>>(name: Metric): Counting<LabelsOf<Metric>> {
    return this.isEnabled ? new Counter<string>(this.#optionsOf(name)) : NOTHING;
  }

  gauge<Metric extends NamesOf<'gauge'>>(name: Metric): Gauging<LabelsOf<Metric>> {
    return this.isEnabled ? new Gauge<string>(this.#optionsOf(name)) : NOTHING;
  }

  histogram<Metric extends NamesOf<'histogram'>>(name: Metric): Observing<LabelsOf<Metric>> {
    const { buckets } = METRICS[name];
    return this.isEnabled ? new Histogram<string>({ ...this.#optionsOf(name), buckets: [...buckets] }) : NOTHING;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #optionsOf(name: Name) {
    const { help, labels = {} }: MetricDefinition = METRICS[name];
    return { name, help, labelNames: Object.keys(labels), registers: [this.#registry] };
  }
}
