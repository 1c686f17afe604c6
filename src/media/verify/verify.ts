import type { CataloguedMedia, MediaCatalogue, StoredBytes } from '../../catalogue/media/media-catalogue.js';
import type { Recovery, StoredMedia } from '../../catalogue/stored-media.js';
import type { ChannelId } from '../../model/channel.js';
import { type Clock, dateOf } from '../../model/clock.js';
import { decodeMediaId } from '../../model/ids.js';
import type { MediaFailure } from '../../model/media.js';
import type { BlobStore } from '../../storage/blob-store.js';
import { findOrphans } from '../orphans.js';
import { type ByteFault, type Finding, leftoverFinding, mediaFinding, orphanFinding } from './finding.js';
import { faultOfBytes } from './stored-bytes-check.js';

export interface VerifyOptions {
  readonly catalogue: Pick<MediaCatalogue, 'findStored'>;
  readonly storedMedia: StoredMedia;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  /** Whether to mend what is found. Otherwise nothing is changed. */
  readonly repair: boolean;
  /** Whether to read all stored bytes and to compare their digests. */
  readonly digests: boolean;
  /** Whether the store is known to be lost: an empty one may be a folder that is not mounted. */
  readonly storeLost: boolean;
  /** Null: all channels. Unfinished files belong to none. */
  readonly channelId: ChannelId | null;
  /** The minimum age of orphans and of unfinished files. */
  readonly graceMs: number;
  /** Called when jobs of kind `copy` were added. */
  readonly onCopies: () => Promise<void>;
  /** Called with the number of media whose bytes were compared. */
  readonly onCompared: (media: number) => void;
  readonly signal?: AbortSignal;
}

const PAGE = 500;
/** Look-ups in the store at once. */
const LOOKUPS = 16;
/** Blobs that are read at once. */
const READS = 2;
/** Above this number of media that cannot be copied again, an empty store is taken for the wrong one. */
const LOST_TOGETHER = 10;

/**
 * Compares rows and blobs in both directions, page by page. Any number of processes may do it at once, also beside servers:
 * what changes meanwhile is no finding, since each suspect is looked up again before it is reported or mended.
 */
export async function* verify(options: VerifyOptions): AsyncGenerator<Finding, void, undefined> {
  yield* verifyRows(options);
  yield* verifyBlobs(options);
  if (options.channelId === null) yield* verifyLeftovers(options);
}

type StoredRow = CataloguedMedia & { readonly stored: StoredBytes };

interface Suspect {
  readonly media: StoredRow;
  readonly fault: ByteFault;
}

async function* verifyRows(options: VerifyOptions): AsyncGenerator<Finding, void, undefined> {
  const { storedMedia, channelId, onCompared, signal } = options;
  let after: CataloguedMedia | null = null;
  for (;;) {
    signal?.throwIfAborted();
    const page: readonly CataloguedMedia[] = await storedMedia.page(after, PAGE);
    const rows = page.filter(isStored).filter((media) => channelId === null || media.channelId === channelId);
    const suspects = await confirmed(options, await suspectsAmong(options, rows));
    yield* options.repair ? await mended(options, suspects) : suspects.map((suspect) => findingOf(suspect, 'none'));
    onCompared(rows.length);
    after = page.at(-1) ?? null;
    if (after === null || page.length < PAGE) return;
  }
}

/** An upload that is under way finds itself that its bytes are lost. */
function isStored(media: CataloguedMedia): media is StoredRow {
  return media.stored !== null && !(media.uploaded && media.status === 'PENDING');
}

async function suspectsAmong(
  { blobs, digests, signal }: VerifyOptions,
  rows: readonly StoredRow[],
): Promise<readonly Suspect[]> {
  const suspects: Suspect[] = [];
  const atOnce = digests ? READS : LOOKUPS;
  for (let at = 0; at < rows.length; at += atOnce) {
    signal?.throwIfAborted();
    const some = rows.slice(at, at + atOnce);
    const faults = await Promise.all(some.map(({ stored }) => faultOfBytes(blobs, stored, { reads: digests, signal })));
    some.forEach((media, index) => {
      const fault = faults[index] ?? null;
      if (fault !== null) suspects.push({ media, fault });
    });
  }
  return suspects;
}

/** The suspects whose row still names the same bytes: others were deleted, expired or copied again meanwhile. */
async function confirmed({ catalogue }: VerifyOptions, suspects: readonly Suspect[]): Promise<readonly Suspect[]> {
  const named = await catalogue.findStored(suspects.map(({ media }) => media));
  return suspects.filter(({ media }) => {
    const now = named.get(media);
    return now?.key === media.stored.key && now.sha256 === media.stored.sha256;
  });
}

async function mended(options: VerifyOptions, suspects: readonly Suspect[]): Promise<readonly Finding[]> {
  if (suspects.length === 0) return [];
  const { storedMedia, clock, storeLost } = options;
  const doubtful = !storeLost && suspects.length > LOST_TOGETHER && (await isEmpty(options.blobs));
  const failure: MediaFailure = {
    code: 'MEDIA_GONE',
    message: 'the stored bytes of this upload were lost, and no provider has them',
    retryable: false,
    at: dateOf(clock),
  };
  const media = suspects.map((suspect) => suspect.media);
  const recovered = await storedMedia.giveUp(media, { onlyCopies: doubtful, failure });
  if ([...recovered.values()].includes('copied')) await options.onCopies();
  return suspects.flatMap((suspect) => {
    const recovery = recovered.get(suspect.media) ?? 'unchanged';
    if (recovery !== 'unchanged') return [findingOf(suspect, recovery)];
    return doubtful ? [findingOf(suspect, 'none', EMPTY_STORE)] : [];
  });
}

const EMPTY_STORE =
  'the store has no media at all: is its folder mounted, is it the right bucket? If the store is lost, add --store-lost';

async function isEmpty(blobs: BlobStore): Promise<boolean> {
  for await (const _blob of blobs.keys('media/')) return false;
  return true;
}

function findingOf(
  { media, fault }: Suspect,
  outcome: Exclude<Recovery, 'unchanged'> | 'none',
  advice: string | null = null,
): Finding {
  return mediaFinding(media, { problem: fault, outcome, key: media.stored.key }, advice);
}

async function* verifyBlobs(options: VerifyOptions): AsyncGenerator<Finding, void, undefined> {
  const { blobs, channelId, repair, clock } = options;
  for await (const orphan of findOrphans(options, dateOf(clock))) {
    if (channelId !== null && decodeMediaId(orphan.id)?.channelId !== channelId) continue;
    if (repair) await blobs.delete(orphan.key);
    yield orphanFinding(orphan, repair);
  }
}

async function* verifyLeftovers({ blobs, graceMs, repair }: VerifyOptions): AsyncGenerator<Finding, void, undefined> {
  for await (const leftover of blobs.leftovers?.(graceMs) ?? []) {
    if (repair) await leftover.remove();
    yield leftoverFinding(leftover, repair);
  }
}
