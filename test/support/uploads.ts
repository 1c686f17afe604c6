import type { CataloguedMedia } from '../../src/catalogue/media/media-catalogue.js';
import type { Reserved, UploadedBytes, UploadReservation } from '../../src/catalogue/uploads.js';
import { createUploadId } from '../../src/model/ids.js';
import { storedBytes } from './databases.js';

/** The process that carries out what the tests begin. */
export const OWNER = 'the first owner';

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

/** What became known of a photo's bytes. */
export function uploadedBytes(keys: Partial<UploadedBytes> = {}): UploadedBytes {
  return { stored: storedBytes(), mimeType: 'image/png', kind: 'IMAGE', filename: 'photo.png', ...keys };
}
