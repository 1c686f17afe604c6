import { type LedgerItem, nameOf } from './ledger.js';
import { type LoadContext, persist, pick } from './load.js';
import { type MediaSeen, noteReady } from './message-flows.js';
import { UPLOAD_CHANNELS } from './providers-protocol.js';

const REPEATED = 0.2;

const UPLOAD = `mutation($input: UploadMediaFromUrlInput!) {
  uploadMediaFromUrl(input: $input) { replayed media { id status sha256 url } } }`;
const DELETE = 'mutation($id: ID!) { deleteMedia(input: { id: $id }) { scope media { id status sha256 url } } }';

interface Uploaded {
  readonly uploadMediaFromUrl: { readonly replayed: boolean; readonly media: MediaSeen } | null;
}

interface Deleted {
  readonly deleteMedia: { readonly scope: string; readonly media: MediaSeen } | null;
}

/** The key of an upload, which its caller repeats until it is READY. */
export function keyOf({ index }: Pick<LedgerItem, 'index'>): string {
  return `upload ${index}`;
}

/** The path of an upload's source. */
export function sourcePathOf({ index }: Pick<LedgerItem, 'index'>): string {
  return `/photos/${index}.jpg`;
}

/** A caller uploads a photo, with the same key until it is READY, and sometimes once more. */
export async function upload(context: LoadContext): Promise<void> {
  const { ledger, chance } = context;
  const channelId = UPLOAD_CHANNELS[chance.below(UPLOAD_CHANNELS.length)] ?? UPLOAD_CHANNELS[0];
  const isRepeated = chance.next() < REPEATED;
  const item = ledger.add({ index: ledger.nextPhoto(), origin: 'upload', channelId, messageId: null });
  await untilReady(context, item);
  item.isAcknowledged = item.readyAt !== null;
  if (isRepeated && item.deletionBegunAt === null && item.isAcknowledged) await untilReady(context, item);
}

function untilReady(context: LoadContext, item: LedgerItem): Promise<true | null> {
  const { cluster, requests, ledger, nginx } = context;
  const url = cluster.facts.sourceUrl + sourcePathOf(item);
  const input = { channelId: item.channelId, url, idempotencyKey: keyOf(item) };
  return persist(context, item, 'the upload', async () => {
    const wasReady = item.readyAt !== null;
    const answered = await requests.ask<Uploaded>('upload', nginx, UPLOAD, { input });
    const uploaded = answered?.data?.uploadMediaFromUrl;
    if (!answered || !uploaded) {
      item.failures += 1;
      return null;
    }
    const { media, replayed } = uploaded;
    if (wasReady && !replayed) ledger.violate(`${nameOf(item)} was uploaded again`);
    if (media.status === 'PENDING') return null;
    if (media.status === 'READY') noteReady(ledger, item, media, answered.endedAt);
    else if (item.deletionBegunAt === null) ledger.violate(`the upload of ${nameOf(item)} answered ${media.status}`);
    return true;
  });
}

/** A caller deletes a media that was READY, until the deletion is acknowledged. */
export async function remove(context: LoadContext): Promise<void> {
  const { requests, ledger, nginx } = context;
  const item = pick(context, ({ readyAt, deletionBegunAt }) => readyAt !== null && deletionBegunAt === null);
  if (!item) return;
  item.deletionBegunAt = performance.now();
  await persist(context, item, 'the deletion', async () => {
    const answered = await requests.ask<Deleted>('deletion', nginx, DELETE, { id: item.mediaId });
    const deleted = answered?.data?.deleteMedia;
    if (!answered || !deleted) return null;
    if (deleted.media.status !== 'DELETED')
      ledger.violate(`the deletion of ${nameOf(item)} left ${deleted.media.status}`);
    item.deletedAt = answered.endedAt;
    item.deletionScope = deleted.scope;
    return true;
  });
}
