import { type Got, headerOf, sole } from './test-bed.js';

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly help: string;
  readonly type: string;
  readonly samples: Sample[];
}

/**
 * Prometheus' text format, version 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats), as strict as it can be
 * read: each family has its HELP, its TYPE and then its samples, once, and no series stands twice.
 */
export function parseMetrics(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  const series = new Set<string>();
  let current: [name: string, family: Family] | null = null;
  let help: [name: string, words: string] | null = null;
  if (!text.endsWith('\n')) throw new Error('expected the last line to end');
  for (const line of text.split('\n').filter((one) => one !== '')) {
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line) ?? [];
    if (keyword === 'HELP') {
      if (families.has(name) || help) throw new Error(`expected another line, got ${line}`);
      help = [name, rest];
    } else if (keyword === 'TYPE') {
      if (help?.[0] !== name) throw new Error(`expected the HELP of ${name} before its TYPE`);
      const begun: Family = { help: help[1], type: rest, samples: [] };
      families.set(name, begun);
      [current, help] = [[name, begun], null];
    } else {
      const sample = parseSample(line);
      const belongs = current && familyNames(...current).includes(sample.name);
      if (!belongs) throw new Error(`expected a sample of ${current?.[0]}, got ${line}`);
      const key = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).sort())}`;
      if (series.has(key)) throw new Error(`expected each series once, got twice ${key}`);
      series.add(key);
      current?.[1].samples.push(sample);
    }
  }
  return families;
}

function familyNames(name: string, { type }: Family): string[] {
  return type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];
}

function parseSample(line: string): Sample {
  const [, name, inner = '', number = ''] = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
  const value = Number(number);
  if (name === undefined || number === '' || Number.isNaN(value)) throw new Error(`expected a sample, got ${line}`);
  const pairs = [...inner.matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/gy)];
  if (pairs.map(([pair]) => pair).join('') !== inner) throw new Error(`expected labels, got ${line}`);
  return { name, labels: Object.fromEntries(pairs.map(([, key, text]) => [key, text])), value };
}

export function family(families: Map<string, Family>, name: string): Family {
  const found = families.get(name);
  if (!found) throw new Error(`expected a metric ${name}, got ${[...families.keys()].join(', ')}`);
  return found;
}

/** The samples of a family with these labels, as the values of one more label. */
export function valuesBy(
  families: Map<string, Family>,
  name: string,
  label: string,
  labels: Readonly<Record<string, string>> = {},
): Record<string, number> {
  const { type, samples: all } = family(families, name);
  const wanted = all.filter(
    (sample) =>
      (type !== 'histogram' || sample.name === `${name}_count`) &&
      Object.entries(labels).every(([key, text]) => sample.labels[key] === text),
  );
  return Object.fromEntries(wanted.map((sample) => [sample.labels[label] ?? '', sample.value]));
}

export function soleValue(families: Map<string, Family>, name: string): number {
  return sole(family(families, name).samples).value;
}

export function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

export async function scrape(get: (path: string) => Promise<Got>, url = ''): Promise<string> {
  const got = await get(`${url}/metrics`);
  expect(got.status).toBe(200);
  expect(headerOf(got, 'content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(headerOf(got, 'cache-control')).toBe('no-store');
  return got.bytes.toString();
}
