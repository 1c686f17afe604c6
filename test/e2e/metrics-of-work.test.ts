import { METRICS, type MetricDefinition } from '../../src/telemetry/instruments/metric-list.js';
import { until } from '../support/eventually.js';
import { type Family, family, parseMetrics, scrape, soleValue, sum, valuesBy } from '../support/metrics-text.js';
import { receive } from '../support/sample-messages.js';
import { sole, type TestBed, useBeds } from '../support/test-bed.js';

const PATIENCE_MS = 60_000;
const WEBHOOK_SECRET = 'a webhook secret of Kirim';
const MEDIA = (name: string) => `query ${name}($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { id url } } }`;
const STILL = 'query Still($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { status thumbnailUrl(width: 64) } } }';

const beds = useBeds({
  config: { metrics: { operations: ['Listed', 'Unused'] } },
  channelKeys: { kirim: { webhook: { secret: WEBHOOK_SECRET } } },
  kirim: { webhookSecrets: [WEBHOOK_SECRET] },
});

interface Observed {
  readonly metrics: Map<string, Family>;
  readonly bytes: number;
}

/** Reads, deliveries from every place, a still, and a copy; then one scrape. */
async function observe(bed: TestBed): Promise<Observed> {
  const ids = [receive(bed, 'signalwire', 1), receive(bed, 'signalwire', 2)];
  for (const name of ['Listed', 'Listed', 'UnlistedNameOfACaller', '']) await bed.query(MEDIA(name), { ids });
  await bed.query(MEDIA('Listed'), { ids: ['no-channel:text'] });
  await bed.query('mutation Delete { deleteMedia(input: { id: "no-media" }) { media { id } } }');
  const url = await bed.urlOf(ids[0] ?? '');
  const first = await bed.get(url);
  await bed.app.settled();
  // The row is remembered for a moment, and the small file is read into memory by its second delivery.
  let etag = '';
  await until('a delivery from memory', async () => {
    const got = await bed.get(url, { headers: { range: 'bytes=0-9' } });
    expect(got.bytes).toHaveLength(10);
    etag = String(got.headers.etag);
    return valuesBy(await now(bed), 'mediagraph_deliveries_total', 'source').memory !== undefined;
  });
  await bed.get(url, { method: 'HEAD' });
  await bed.get(url, { headers: { 'if-none-match': etag } });
  await bed.get(`${url}0`);
  await makeStill(bed, ids[0] ?? '');
  await copyOne(bed);
  return { metrics: await now(bed), bytes: first.bytes.length };
}

async function now(bed: TestBed): Promise<Map<string, Family>> {
  return parseMetrics(await scrape((path) => bed.get(path)));
}

async function makeStill(bed: TestBed, id: string): Promise<void> {
  const { data } = await bed.query<{
    readonly messagesWithMedia: ReadonlyArray<{ readonly media: ReadonlyArray<{ readonly thumbnailUrl: string }> }>;
  }>(STILL, { ids: [id] });
  const got = await bed.get(sole(sole(data?.messagesWithMedia).media).thumbnailUrl);
  expect(got.status).toBe(200);
}

/** Announces a media. */
async function copyOne(bed: TestBed): Promise<void> {
  const id = receive(bed, 'kirim', 5);
  const { body, headers } = bed.kirim.webhookOf(id.slice('wa:'.length));
  await bed.get('/webhooks/wa', { method: 'POST', headers, body: body.toString() });
  await until('the copy', async () => {
    return valuesBy(await now(bed), 'mediagraph_copies_total', 'outcome').stored === 1;
  });
}

describe('after reads, deliveries, a still and a copy', () => {
  let observed: Observed;
  const by = (name: string, label: string, labels = {}) => valuesBy(observed.metrics, name, label, labels);

  beforeAll(async () => {
    observed = await observe(await beds.shared());
  }, PATIENCE_MS);

  it('the scrape has the metrics and labels of the list, and no others', () => {
    expect([...observed.metrics.keys()].sort()).toEqual(Object.keys(METRICS).sort());
    for (const [name, definition] of Object.entries<MetricDefinition>(METRICS)) {
      const { type, help, samples } = family(observed.metrics, name);
      expect({ name, type, help }).toEqual({ name, type: definition.type, help: definition.help });
      const labels = new Set(samples.flatMap((sample) => Object.keys(sample.labels)));
      labels.delete('le');
      for (const label of labels) expect(Object.keys(definition.labels ?? {})).toContain(label);
    }
  });

  it('operations have the names that the configuration lists, their type and their outcome', () => {
    const of = (operation: string) =>
      by('mediagraph_graphql_operation_duration_seconds', 'outcome', { operation, type: 'query' });
    expect(of('Listed')).toEqual({ ok: 2, errors: 1 });
    expect(of('(other)').ok).toBeGreaterThan(0);
    expect(of('(none)').ok).toBeGreaterThan(0);
    expect(of('Unused')).toEqual({});
    const mutations = { operation: '(other)', type: 'mutation' };
    expect(by('mediagraph_graphql_operation_duration_seconds', 'outcome', mutations)).toEqual({ errors: 1 });
    expect(JSON.stringify([...observed.metrics])).not.toContain('UnlistedNameOfACaller');
  });

  it('batches are measured by their keys', () => {
    const { samples } = family(observed.metrics, 'mediagraph_loader_batch_keys');
    const ofMessages = samples.filter(({ labels }) => labels.loader === 'mediaByMessage');
    const of = (suffix: string) => ofMessages.find(({ name }) => name.endsWith(suffix))?.value ?? 0;
    expect(of('_sum')).toBeGreaterThan(of('_count'));
  });

  it('look-ups in the catalogue are hits or misses', () => {
    const { hit = 0, miss = 0, ...others } = by('mediagraph_catalogue_lookups_total', 'result');
    expect(hit).toBeGreaterThanOrEqual(6);
    expect(miss).toBeGreaterThanOrEqual(2);
    expect(others).toEqual({});
  });

  it('deliveries and their bytes are counted by their source', () => {
    const { provider, memory = 0, none, ...others } = by('mediagraph_deliveries_total', 'source');
    expect({ provider, none }).toEqual({ provider: 1, none: 2 });
    expect(memory).toBeGreaterThan(0);
    // The still was read after it was made, and it is rendered with its original.
    expect(sum(others)).toBe(others.store ?? 0);
    const bytes = by('mediagraph_delivery_bytes_total', 'source');
    expect(bytes.provider).toBe(observed.bytes);
    expect(bytes.memory).toBeGreaterThanOrEqual(10);
    expect(bytes.none).toBeUndefined();
  });

  it('renditions, copies and jobs are measured', () => {
    expect(by('mediagraph_rendition_duration_seconds', 'outcome', { kind: 'still' })).toEqual({ made: 1 });
    expect(by('mediagraph_copies_total', 'outcome', { provider: 'kirim' })).toEqual({ stored: 1 });
    expect(by('mediagraph_job_duration_seconds', 'kind')).toMatchObject({ webhook: 1, copy: 1 });
    const { copy } = by('mediagraph_jobs_deadline_used_ratio', 'kind');
    expect(copy).toBe(0);
    expect(by('mediagraph_jobs_deadline_left_seconds', 'kind')).toEqual({});
  });

  it('the space, the stored bytes of each tenant and the pool are shown', () => {
    const capacity = soleValue(observed.metrics, 'mediagraph_storage_capacity_bytes');
    expect(soleValue(observed.metrics, 'mediagraph_storage_free_bytes')).toBeGreaterThan(0);
    expect(capacity).toBeGreaterThan(soleValue(observed.metrics, 'mediagraph_storage_free_bytes'));
    expect(Object.keys(by('mediagraph_stored_bytes', 'tenant'))).toEqual(['default']);
    expect(soleValue(observed.metrics, 'mediagraph_database_connections_limit')).toBe(1);
    expect(by('mediagraph_database_waiting', 'priority')).toEqual({ interactive: 0, background: 0 });
    expect(Object.keys(by('mediagraph_database_connections', 'state')).sort()).toEqual(['idle', 'used']);
  });
});

describe('metrics.enabled: false', () => {
  it('answers no scrape, and requests work as before', async () => {
    const bed = await beds.own({ config: { metrics: { enabled: false, token: 'a-token-0123456789' } } });
    expect((await bed.get('/metrics')).status).toBe(404);
    const url = await bed.urlOf(receive(bed, 'signalwire'));
    expect((await bed.get(url)).status).toBe(200);
  });
});
