import { eventually } from '../eventually.js';
import type { Cluster } from './cluster.js';
import type { FaultLog } from './fault-log.js';
import { type LedgerItem, nameOf } from './ledger.js';
import { open } from './link-flows.js';
import type { LoadContext } from './load.js';
import { askUntilCertain, type MediaSeen, noteReady } from './message-flows.js';
import { keyOf, sourcePathOf } from './mutation-flows.js';
import type { Way } from './request-log.js';

/** What one query may name. */
const MESSAGES_PER_QUERY = 100;
const AT_ONCE = 8;
const TRIES = 5;
const LOOK_PAUSE_MS = 250;
const MEDIA = 'query($id: ID!) { media(id: $id) { id status sha256 url } }';
/** What the sweep must leave alone although no row names it: an object of a request that is under way. */
const GRACE = '1s';

const OPEN_JOBS = `select kind, state, count(*)::integer as count, max(attempts) as attempts, max(last_error) as last_error,
  max(due_at - now())::text as due_in, max(lease_until - now())::text as lease from jobs where kind <> 'sweep' group by kind, state`;
const OPEN_MEDIA = `select status, count(*)::integer as count, min(id) as id from media
  where status in ('PENDING', 'FAILED') and not (uploaded and status = 'FAILED') group by status`;

/** Until no work is open, and every media has come to an end. @throws Error with what is open */
export async function settled({ postgres }: Cluster, withinMs: number): Promise<void> {
  const look = async () => [...(await postgres.query(OPEN_JOBS)), ...(await postgres.query(OPEN_MEDIA))];
  const patience = { what: 'no open job and no open media', withinMs, pauseMs: LOOK_PAUSE_MS };
  await eventually(look, (rows) => rows.length === 0, patience);
}

/** Every acknowledged media is READY and opens on every replica, or was deleted and stays so. */
export async function verifyMedia(context: LoadContext): Promise<void> {
  const { ledger, replicas } = context;
  const items = ledger.items.filter(({ isAcknowledged }) => isAcknowledged);
  for (const way of replicas) {
    await verifyMessages(context, way, items);
    await each(items, (item) => verifyOne(context, way, item));
  }
}

async function verifyMessages(context: LoadContext, way: Way, items: readonly LedgerItem[]): Promise<void> {
  const ofMessages = items.filter(({ messageId }) => messageId !== null);
  for (let at = 0; at < ofMessages.length; at += MESSAGES_PER_QUERY) {
    await askUntilCertain(context, way, ofMessages.slice(at, at + MESSAGES_PER_QUERY), 'query');
  }
}

async function verifyOne(context: LoadContext, way: Way, item: LedgerItem): Promise<void> {
  const { ledger } = context;
  if (item.deletedAt !== null || item.messageId === null) await verifyById(context, way, item);
  if (item.readyAt === null && item.deletionBegunAt === null) {
    ledger.violate(`acknowledged ${nameOf(item)} is not READY by ${way.name}`);
  } else if (item.link !== null) {
    await untilDone(context, `the link of ${nameOf(item)} by ${way.name}`, () => open(context, way, item));
  }
}

async function verifyById({ requests, ledger }: LoadContext, way: Way, item: LedgerItem): Promise<void> {
  if (item.mediaId === null) return;
  const answered = await requests.ask<{ readonly media: MediaSeen | null }>('query', way, MEDIA, { id: item.mediaId });
  const status = answered?.data?.media?.status;
  const expected = item.deletedAt === null ? 'READY' : 'DELETED';
  const isUndecided = item.deletionBegunAt !== null && item.deletedAt === null;
  if (status !== expected && !isUndecided)
    ledger.violate(`${nameOf(item)} is ${status}, not ${expected}, by ${way.name}`);
  if (answered?.data?.media && status === 'READY') noteReady(ledger, item, answered.data.media, answered.endedAt);
}

interface UploadFigures {
  readonly acknowledged: number;
  /** Uploads whose source was asked, or that were handed over, more than once: a fault was in the way. */
  readonly fetchedAgain: number;
  readonly handedOverAgain: number;
  /** Files that a provider has although no row names them: a process died between the provider's answer and its own. */
  readonly leftAtProvider: number;
}

/** Each upload is one media and one file at its provider, and was fetched and handed over once, but for faults. */
export async function verifyUploads({ cluster, ledger }: LoadContext, faults: FaultLog): Promise<UploadFigures> {
  const uploads = ledger.items.filter(({ origin, isAcknowledged }) => origin === 'upload' && isAcknowledged);
  const asked = await cluster.providers.asked();
  const rows = await cluster.postgres.query(
    `select media.id, media.status, media.provider_media_id, upload_keys.key from media
     left join upload_keys on upload_keys.media_id = media.id where media.uploaded and media.status <> 'FAILED'`,
  );
  const rowOf = new Map(rows.map((row) => [row.key, row]));
  for (const row of rows) if (row.key === null) ledger.violate(`an upload has two media, one of them ${row.id}`);
  const figures = { acknowledged: uploads.length, fetchedAgain: 0, handedOverAgain: 0, leftAtProvider: 0 };
  const named = new Set(rows.map(({ provider_media_id }) => provider_media_id));
  const present = new Set(asked.present);
  for (const item of uploads) {
    const row = rowOf.get(keyOf(item));
    if (row?.id !== item.mediaId) ledger.violate(`the key of ${nameOf(item)} names ${row?.id}`);
    const ofItem = asked.uploads.filter(({ sha256 }) => sha256 === item.sha256);
    const excuses = faults.overlapping(item.begunAt, item.readyAt ?? item.begunAt).length + item.failures;
    const fetches = asked.sources[sourcePathOf(item)] ?? 0;
    const expected = item.channelId === 'cloud' ? 1 : 0;
    if (fetches < 1 || fetches > 1 + excuses)
      ledger.violate(`the source of ${nameOf(item)} was asked ${fetches} times`);
    if (ofItem.length < expected || ofItem.length > expected * (1 + excuses))
      ledger.violate(`${nameOf(item)} was handed over ${ofItem.length} times`);
    if (fetches > 1) figures.fetchedAgain += 1;
    if (ofItem.length > expected) figures.handedOverAgain += 1;
    figures.leftAtProvider += ofItem.filter(({ id }) => present.has(id) && !named.has(id)).length;
    verifyAtMeta(ledger, item, { providerMediaId: row?.provider_media_id, present });
  }
  return figures;
}

function verifyAtMeta(
  ledger: LoadContext['ledger'],
  item: LedgerItem,
  { providerMediaId, present }: { readonly providerMediaId: unknown; readonly present: ReadonlySet<string> },
): void {
  if (item.channelId !== 'cloud' || (item.deletionBegunAt !== null && item.deletedAt === null)) return;
  const isThere = typeof providerMediaId === 'string' && present.has(providerMediaId);
  if (item.deletedAt === null && !isThere) ledger.violate(`${nameOf(item)} is not at its provider`);
  if (item.deletedAt !== null && isThere) ledger.violate(`deleted ${nameOf(item)} is still at its provider`);
}

/** What is deleted at a provider that can delete was deleted there, and nothing else was. */
export async function verifyDeletions({ cluster, ledger }: LoadContext): Promise<void> {
  const asked = await cluster.providers.asked();
  const deleted = new Set(asked.deleted);
  const rows = await cluster.postgres.query(
    `select id, channel_id, provider_message_id, provider_media_id from media where status = 'DELETED'`,
  );
  const rowOf = new Map(rows.map((row) => [row.id, row]));
  for (const item of ledger.items) {
    const row = rowOf.get(item.mediaId);
    if (item.deletedAt === null) {
      if (row && item.deletionBegunAt === null) ledger.violate(`${nameOf(item)} was deleted without a request`);
      continue;
    }
    const atProvider = item.channelId === 'cloud' || item.channelId === 'mms';
    if ((item.deletionScope === 'PROVIDER') !== atProvider)
      ledger.violate(`the deletion of ${nameOf(item)} has the scope ${item.deletionScope}`);
    const name = item.channelId === 'cloud' ? row?.provider_media_id : row?.provider_message_id;
    if (atProvider && !(typeof name === 'string' && deleted.has(name)))
      ledger.violate(`deleted ${nameOf(item)} was not deleted at its provider`);
  }
}

/** After a sweep, each object is named by a row, and each row's object is there. @returns what the sweep did */
export async function verifyStore({ cluster, ledger }: LoadContext): Promise<unknown> {
  const [replica] = cluster.replicas;
  const swept = await replica?.answerOf(['sweep', '--grace', GRACE]);
  const rows = await cluster.postgres.query('select blob_key from media where blob_key is not null');
  const named = new Set(rows.map(({ blob_key }) => String(blob_key)));
  const stored = new Set(await cluster.store.keys());
  for (const key of stored) if (!named.has(key)) ledger.violate(`the object ${key} has no row`);
  for (const key of named) if (!stored.has(key)) ledger.violate(`the object ${key} is missing`);
  const unfinished = await cluster.store.unfinishedUploads();
  for (const key of unfinished) ledger.violate(`the object ${key} is half-written`);
  return swept;
}

/** Nothing is out of order any more, but a busy machine may be late. */
async function untilDone({ ledger }: LoadContext, what: string, attempt: () => Promise<boolean | null>): Promise<void> {
  for (let tries = 0; tries < TRIES; tries += 1) if ((await attempt()) !== null) return;
  ledger.violate(`${what} did not succeed although no fault was there`);
}

async function each<Item>(items: readonly Item[], perform: (item: Item) => Promise<void>): Promise<void> {
  const left = items.values();
  const work = async () => {
    for (const item of left) await perform(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}
