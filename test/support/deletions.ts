import { type CompletedDeletion, type DeletionClaim, SqlDeletions } from '../../src/catalogue/deletions.js';
import type { CataloguedMedia } from '../../src/catalogue/media/media-catalogue.js';
import { SqlMediaCatalogue } from '../../src/catalogue/media/sql-media-catalogue.js';
import { SqlUploads, type UploadJob, type UploadReservation } from '../../src/catalogue/uploads.js';
import type { Database } from '../../src/database/database.js';
import type { DeletionScope, MediaId, MessageMedia } from '../../src/model/media.js';
import { listing, reportedMedia, storedBytes } from './databases.js';
import { claimUploads, jobStoreOf, LEASE_MS } from './jobs.js';
import { createdBy, OWNER, reservation, uploadedBytes } from './uploads.js';

const TENANT = 'default';

/** The owner of every deletion that {@link DeletionBed.remove} makes. */
export const REMOVER = 'remover';

/** What the tests of deletions do all the time, to media of channel `support` of tenant `default`. */
export interface DeletionBed {
  readonly deletions: SqlDeletions;
  readonly catalogue: SqlMediaCatalogue;
  claimOf(owner: string, now?: Date): DeletionClaim;
  intend(id: MediaId, owner: string, now?: Date): ReturnType<SqlDeletions['intend']>;
  found(id: MediaId): Promise<CataloguedMedia | undefined>;
  list(name: string, keys?: Partial<MessageMedia>): Promise<MessageMedia>;
  /** Names stored bytes in the row. */
  keep(id: MediaId, now?: Date): ReturnType<SqlMediaCatalogue['markStored']>;
  /** A listed media whose bytes are here. */
  listStored(name: string): Promise<MessageMedia>;
  /** null where the media cannot be deleted. The removal stays leased to {@link REMOVER}. */
  remove(id: MediaId, scope?: DeletionScope, now?: Date): Promise<CompletedDeletion | null>;
  /** The same, with its bytes removed and the CDN purged. */
  removeWholly(id: MediaId, scope?: DeletionScope, now?: Date): Promise<void>;
}

export function deletionBed(database: Database, start: Date): DeletionBed {
  const deletions = new SqlDeletions(database);
  const catalogue = new SqlMediaCatalogue(database);
  const bed: DeletionBed = {
    deletions,
    catalogue,
    claimOf: (owner, now = start) => ({ owner, now, leaseMs: LEASE_MS }),
    intend: (id, owner, now = start) => deletions.intend(TENANT, id, bed.claimOf(owner, now)),
    found: async (id) => (await catalogue.findByIds(TENANT, [id])).get(id),
    list: async (name, keys = {}) => {
      const media = reportedMedia({ providerMessageId: name, ...keys });
      const key = { channelId: media.channelId, providerMessageId: name };
      await catalogue.recordListings(TENANT, [listing(key, [media], { now: start })], start);
      return media;
    },
    keep: (id, now = start) =>
      catalogue.markStored(TENANT, id, { stored: storedBytes(), details: {}, replacing: null }, now),
    listStored: async (name) => {
      const media = await bed.list(name);
      await bed.keep(media.id);
      return media;
    },
    remove: async (id, scope = 'LOCAL', now = start) => {
      const begun = await bed.intend(id, REMOVER, now);
      return begun && deletions.complete(begun.job, { scope, now }, LEASE_MS);
    },
    removeWholly: async (id, scope = 'LOCAL', now = start) => {
      const completed = await bed.remove(id, scope, now);
      if (!completed) throw new Error('expected the media to be deleted, got nothing to delete');
      await jobStoreOf(database, { owner: REMOVER, now }).finish(completed.removal);
    },
  };
  return bed;
}

type ReservationAt = Partial<UploadReservation> & { readonly now: Date };

/** A new upload whose job {@link OWNER} has claimed. No other upload may wait. */
export async function begunUpload(database: Database, keys: ReservationAt): Promise<UploadJob> {
  const media = createdBy(await new SqlUploads(database).reserve(reservation(keys)));
  const [upload] = await claimUploads(database, { owner: OWNER, now: keys.now, limit: 1 });
  if (upload?.media.id !== media.id) throw new Error('expected the job of this upload, got another or none');
  return upload;
}

/** A media that was uploaded, READY, with bytes. */
export async function uploadedMedia(database: Database, keys: ReservationAt): Promise<CataloguedMedia> {
  const uploads = new SqlUploads(database);
  const { job } = await begunUpload(database, keys);
  await uploads.markStored(job, uploadedBytes(), keys.now);
  const ready = await uploads.finish(job, null, keys.now);
  if (!ready) throw new Error('expected the upload to be finished');
  return ready;
}
