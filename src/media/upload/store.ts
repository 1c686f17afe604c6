import type { CataloguedMedia, MediaCatalogue } from '../../catalogue/media/media-catalogue.js';
import type { UploadedBytes, UploadJob, Uploads } from '../../catalogue/uploads.js';
import { bytesToSniff, UPLOAD_SNIFF_BYTES } from '../../inspection/sniff/sniff.js';
import {
  type ByteStorage,
  type InspectedBytes,
  recordLateFacts,
  removeAttempt,
  storeBytes,
} from '../../inspection/stored-bytes.js';
import { inspectionThreads } from '../../inspection/threads/inspection-threads.js';
import { safeFilename, withExtension } from '../../links/media-name.js';
import { dateOf } from '../../model/clock.js';
import { MediagraphError } from '../../model/errors.js';
import { kindOfMimeType } from '../../model/text/mime-type.js';
import type { SafeFetch } from '../../net/guarded/safe-fetch.js';
import type { ConnectedChannel } from '../../providers/channel-directory.js';
import { peek } from '../../streams/peek.js';
import type { Logger } from '../../telemetry/logger.js';
import { agreedType, isTooLarge, limitOf, tooLarge, typeTaken } from './limits.js';
import { openSource, sourceFault } from './source.js';

export interface UploadStoringOptions extends ByteStorage {
  readonly catalogue: Pick<MediaCatalogue, 'recordMeasures'>;
  readonly uploads: Pick<Uploads, 'markStored'>;
  /** The client that refuses private addresses. */
  readonly source: SafeFetch;
  /** `upload.maxBytes` */
  readonly maxBytes: number;
  /** `upload.timeout`, milliseconds */
  readonly timeoutMs: number;
  readonly logger: Logger;
}

/**
 * Performs the steps between the reservation and the provider: downloads the source, determines its type, stores it and
 * inspects it. A crash leaves an unreferenced blob, which the sweep deletes, and a job that starts again.
 * @returns null if another process now holds the job's lease
 * @throws MediagraphError SOURCE_FAILED, SOURCE_TIMEOUT, MEDIA_TOO_LARGE, CONTENT_TYPE_NOT_ALLOWED, URL_NOT_ALLOWED
 */
export async function storeFromSource(
  options: UploadStoringOptions,
  channel: ConnectedChannel,
  job: UploadJob,
  signal: AbortSignal,
): Promise<UploadedBytes | null> {
  const { uploads, blobs, clock, maxBytes, timeoutMs } = options;
  const source = await openSource(options.source, { url: job.sourceUrl, maxBytes, timeoutMs, signal });
  let bytes: UploadedBytes & InspectedBytes;
  try {
    const { head, body } = await peek(source.body, (head) => bytesToSniff(head, UPLOAD_SNIFF_BYTES));
    if (head.length === 0) throw new MediagraphError('SOURCE_FAILED', 'expected bytes from the source, got none');
    const claim = job.mimeType ?? source.declaredMimeType;
    const found = await inspectionThreads.sniff(head, claim);
    const mimeType = agreedType(job.mimeType ?? typeTaken(channel, found), source.declaredMimeType, found);
    const limit = limitOf(channel, mimeType, maxBytes);
    if (source.sizeBytes !== null && source.sizeBytes > limit.bytes) throw tooLarge(limit);
    const inspected = await storeBytes(options, job.media, { body, mimeType }, { signal, maxBytes: limit.bytes }).catch(
      (thrown: unknown) => {
        throw isTooLarge(thrown) ? tooLarge(limit, thrown) : thrown;
      },
    );
    const kind = inspected.kind ?? kindOfMimeType(inspected.mimeType);
    const name = safeFilename(job.filename) ?? safeFilename(source.filename) ?? (kind ?? 'media').toLowerCase();
    bytes = { ...inspected, kind, filename: withExtension(name, inspected.mimeType) };
  } catch (thrown) {
    source.body.destroy();
    throw sourceFault(thrown);
  }
  // If this rejects, the row may reference these bytes. If it does not, the sweep deletes them.
  if (await uploads.markStored(job.job, bytes, dateOf(clock))) {
    void recordLateFacts(options, job.media, bytes);
    return bytes;
  }
  await removeAttempt(blobs, bytes.stored);
  return null;
}

/** The bytes that an earlier attempt stored, which need no further download. */
export function storedBefore({ stored, mimeType, kind, filename }: CataloguedMedia): UploadedBytes | null {
  return stored && mimeType !== null && filename !== null ? { stored, mimeType, kind, filename } : null;
}
