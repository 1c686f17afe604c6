import { type LedgerItem, nameOf } from './ledger.js';
import { type LoadContext, persist, pick, someWay } from './load.js';
import { LISTING_PROVIDERS, type ReceivedPhoto, WEBHOOK_PROVIDERS } from './providers-protocol.js';
import { isPassing, type Way } from './request-log.js';

const REPEATED = 0.05;
const MOST_PER_QUERY = 5;

const MESSAGES = `query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { id media { id status sha256 url } } }`;

export interface MediaSeen {
  readonly id: string;
  readonly status: string;
  readonly sha256: string | null;
  readonly url: string | null;
}

interface MessagesSeen {
  readonly messagesWithMedia: ReadonlyArray<{
    readonly id: string;
    readonly media: readonly MediaSeen[] | null;
  } | null>;
}

/** A provider announces a photo until it is acknowledged, and sometimes once more. */
export async function announce(context: LoadContext): Promise<void> {
  const { cluster, ledger, chance } = context;
  const provider = WEBHOOK_PROVIDERS[chance.below(WEBHOOK_PROVIDERS.length)] ?? 'meta';
  const isRepeated = chance.next() < REPEATED;
  const index = ledger.nextPhoto();
  const photo = await cluster.providers.receive({ provider, index });
  const item = ledger.add({ index, origin: 'webhook', channelId: photo.channelId, messageId: photo.messageId });
  item.isAcknowledged = await deliver(context, item, photo);
  if (isRepeated) await deliver(context, item, photo);
}

async function deliver(
  context: LoadContext,
  item: LedgerItem,
  { channelId, delivery }: ReceivedPhoto,
): Promise<boolean> {
  const { requests, ledger, nginx } = context;
  const { headers, body } = delivery;
  const acknowledged = await persist(context, item, 'the webhook', async () => {
    const request = { method: 'POST', headers, body: body.toString() } as const;
    const answered = await requests.send('webhook', nginx, `/webhooks/${channelId}`, request);
    if (!answered || isPassing(answered.status)) return null;
    const isAccepted = answered.status >= 200 && answered.status < 300;
    if (!isAccepted) ledger.violate(`the webhook of ${nameOf(item)} got ${answered.status}: ${answered.bytes}`);
    return isAccepted;
  });
  return acknowledged === true;
}

/** A frontend asks for messages that it may have seen before. */
export async function query(context: LoadContext): Promise<void> {
  const wanted = 1 + context.chance.below(MOST_PER_QUERY);
  const way = someWay(context);
  const items = new Set<LedgerItem>();
  for (let tries = 0; tries < wanted; tries += 1) {
    const item = pick(context, ({ messageId, isAcknowledged }) => messageId !== null && isAcknowledged);
    if (item) items.add(item);
  }
  await askUntilCertain(context, way, [...items], 'query');
}

/** A frontend asks for a message that no webhook has announced: the provider lists its photo. */
export async function askForListed(context: LoadContext): Promise<void> {
  const { cluster, ledger, chance, nginx } = context;
  const provider = LISTING_PROVIDERS[chance.below(LISTING_PROVIDERS.length)] ?? 'kirim';
  const index = ledger.nextPhoto();
  const { channelId, messageId } = await cluster.providers.receive({ provider, index });
  const item = ledger.add({ index, origin: 'listing', channelId, messageId });
  await persist(context, item, 'the listing', async () => {
    await askUntilCertain(context, nginx, [item], 'cold query');
    return item.readyAt;
  });
  item.isAcknowledged = item.readyAt !== null;
}

/** A media whose answer may be wrong for as long as the catalogue cannot be asked. */
interface Doubt {
  readonly item: LedgerItem;
  readonly sentence: string;
}

/** Asks for messages until no answer is in doubt. */
export async function askUntilCertain(
  context: LoadContext,
  way: Way,
  items: readonly LedgerItem[],
  kind: 'query' | 'cold query',
): Promise<void> {
  const [first] = items;
  if (!first) return;
  let doubts: readonly Doubt[] = items.map((item) => ({ item, sentence: 'the query' }));
  await persist(context, first, `a query of ${items.length} messages by ${way.name}`, async () => {
    const asked = doubts.map(({ item }) => item);
    doubts = (await askFor(context, way, asked, kind)) ?? doubts;
    return doubts.length === 0 ? true : null;
  });
  for (const { sentence } of doubts) context.ledger.violate(sentence);
}

/** Asks for messages once, and holds the answer against what is known of them. @returns null: there was no answer */
async function askFor(
  { requests, ledger }: LoadContext,
  way: Way,
  items: readonly LedgerItem[],
  kind: 'query' | 'cold query',
): Promise<Doubt[] | null> {
  const known = items.map((item) => ({ item, storedBefore: item.storedAt, deletedBefore: item.deletedAt }));
  const ids = items.map(({ messageId }) => messageId);
  const answered = await requests.ask<MessagesSeen>(kind, way, MESSAGES, { ids });
  if (!answered?.data) return null;
  const doubts: Doubt[] = [];
  for (const [index, { item, storedBefore, deletedBefore }] of known.entries()) {
    const media = answered.data.messagesWithMedia[index]?.media;
    const [seen] = media ?? [];
    // Its own error says why.
    if (!media) doubts.push({ item, sentence: `${nameOf(item)} cannot be asked for by ${way.name}` });
    else if (media.length > 1) ledger.violate(`${nameOf(item)} has ${media.length} media by ${way.name}`);
    else if (seen && deletedBefore !== null) {
      // Where the provider has no deletion and the catalogue does not answer, the provider's listing is what is known.
      doubts.push({ item, sentence: `deleted ${nameOf(item)} is ${seen.status} by ${way.name}` });
    } else if (seen?.status === 'READY') noteReady(ledger, item, seen, answered.endedAt);
    else if (storedBefore !== null && item.deletionBegunAt === null)
      ledger.violate(`${nameOf(item)} was stored and is ${seen?.status ?? 'absent'} by ${way.name}`);
  }
  return doubts;
}

export function noteReady(
  ledger: LoadContext['ledger'],
  item: LedgerItem,
  { id, sha256, url }: MediaSeen,
  at: number,
): void {
  if (item.mediaId !== null && item.mediaId !== id) ledger.violate(`${nameOf(item)} is ${id} as well`);
  if (sha256 !== null && sha256 !== item.sha256) ledger.violate(`${nameOf(item)} has the digest ${sha256}`);
  if (url === null) ledger.violate(`${nameOf(item)} is READY without a link`);
  item.mediaId = id;
  item.link = url;
  item.readyAt ??= at;
  // A listing tells no digest. Its media is PENDING on other replicas from its webhook on, until the copy is stored.
  if (sha256 !== null) item.storedAt ??= at;
}
