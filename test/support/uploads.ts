import type { CataloguedMedia } from '../../src/catalogue/media-catalogue.js';
import type { Reserved, SqlUploads, UploadedBytes, UploadJob, UploadReservation } from '../../src/catalogue/uploads.js';
import { createUploadId } from '../../src/model/ids.js';
import { storedBytes } from './databases.js';

/** Who works on what {@link begun} begins. */
export const OWNER = 'the first owner';
export const LEASE_MS = 1_000;

/** An upload to channel `support` that belongs to no message and has no key. */
export function reservation(keys: Partial<UploadReservation> & { readonly now: Date }): UploadReservation {
  return {
    tenant: 'default',
    id: createUploadId('support'),
    channelId: 'support',
    provider: 'kirim',
    providerMessageId: null,
    sourceUrl: 'https://files.example/photo.jpg',
    filename: null,
    mimeType: null,
    idempotency: null,
    retainedUntil: null,
    ...keys,
  };
}

/** The media of an upload that was reserved. @throws Error where its key was taken */
export function createdBy({ outcome, media }: Reserved): CataloguedMedia {
  if (outcome === 'created') return media;
  throw new Error(`expected a new upload, got one that is ${outcome}`);
}

/** A new upload, claimed by {@link OWNER}. Nothing else may wait for a worker. */
export async function begun(
  uploads: SqlUploads,
  keys: Partial<UploadReservation> & { readonly now: Date },
): Promise<UploadJob> {
  const media = createdBy(await uploads.reserve(reservation(keys)));
  const job = await uploads.claim({ owner: OWNER, now: keys.now, leaseMs: LEASE_MS }, []);
  if (job?.media.id !== media.id) throw new Error('expected the job of this upload, got another or none');
  return job;
}

/** A media that was uploaded, READY, with bytes. */
export async function uploadedMedia(
  uploads: SqlUploads,
  keys: Partial<UploadReservation> & { readonly now: Date },
): Promise<CataloguedMedia> {
  const { media } = await begun(uploads, keys);
  const { tenant, id } = media;
  await uploads.markStored(tenant, id, OWNER, uploadedBytes(), keys.now);
  const ready = await uploads.finish(tenant, id, OWNER, null, keys.now);
  if (!ready) throw new Error('expected the upload to be finished');
  return ready;
}

/** What became known of a photo's bytes. */
export function uploadedBytes(keys: Partial<UploadedBytes> = {}): UploadedBytes {
  return { stored: storedBytes(), mimeType: 'image/png', kind: 'IMAGE', filename: 'photo.png', ...keys };
}
