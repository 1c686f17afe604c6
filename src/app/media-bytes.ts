import { setTimeout as sleep } from 'node:timers/promises';
import type { CataloguedMedia } from '../catalogue/media/media-catalogue.js';
import type { Config } from '../config/config.js';
import { FORGOTTEN_MS, REMEMBERED_ALONE_MS, StoredRows } from '../delivery/stored-rows.js';
import { MediaInspector } from '../inspection/inspect.js';
import type { MediaId } from '../model/media.js';
import { CdnPurge } from '../net/cdn-purge.js';
import { startRenderer } from '../rendering/start-renderer.js';
import { Renditions } from '../renditions/renditions.js';
import { mediaBlobKey, stemOf } from '../storage/blob-store.js';
import { HotBytes } from '../storage/hot-bytes.js';
import type { WorkMetrics } from '../telemetry/instruments/work-metrics.js';
import type { Logger } from '../telemetry/logger.js';
import type { Stores } from './stores.js';

/** The parts that derive data from stored bytes, cache it, and drop it with the media. */
export interface MediaBytes {
  readonly inspector: MediaInspector;
  readonly rows: StoredRows;
  readonly hot: HotBytes;
  readonly renditions: Renditions;
  /** Resolves when no replica caches the media. */
  readonly forget: (media: CataloguedMedia) => Promise<void>;
  /** Null if there is no CDN in front of this server. */
  readonly purge: ((tag: MediaId) => Promise<void>) | null;
  close(): Promise<void>;
}

/** The maximum time that a deletion waits for the CDN. */
const PURGE_TIMEOUT_MS = 5_000;

interface Telemetry {
  readonly logger: Logger;
  readonly metrics?: Pick<WorkMetrics, 'renditionEnded'>;
}

export async function openMediaBytes(
  config: Config,
  stores: Stores,
  { logger, metrics }: Telemetry,
): Promise<MediaBytes> {
  const { blobs, catalogue, database } = stores;
  const { placeholders, concurrency, timeoutMs, maxPixels } = config.rendering;
  const maxSourceBytes = config.upload.maxBytes;
  const limits = { concurrency, timeoutMs, maxPixels, maxSourceBytes };
  const renderer = await startRenderer({ ...limits, path: config.toolsPath, logger });
  const isAlone = database.engine === 'embedded';
  const rows = new StoredRows({ catalogue, rememberMs: isAlone ? REMEMBERED_ALONE_MS : FORGOTTEN_MS });
  const hot = new HotBytes(config.delivery.memoryCacheBytes);
  const renditions = new Renditions({ blobs, hot, renderer, logger, metrics });
  const purge = openPurge(config);
  return {
    inspector: new MediaInspector({ blobs, renderer, placeholders, logger }),
    rows,
    hot,
    renditions,
    forget: async ({ tenant, id }) => {
      rows.forget(tenant, id);
      renditions.forget(stemOf(mediaBlobKey(tenant, id)));
      if (!isAlone) await sleep(FORGOTTEN_MS);
    },
    purge: purge && ((tag) => purge.purge(tag)),
    close: async () => {
      await Promise.all([renderer.close(), purge?.close()]);
    },
  };
}

/** Null without `delivery.purge`. */
export function openPurge({ delivery }: Config): CdnPurge | null {
  const { purge: url, purgeHeaders: headers } = delivery;
  return url === null ? null : new CdnPurge({ url, headers, timeoutMs: PURGE_TIMEOUT_MS });
}
