import type { CataloguedMedia } from '../catalogue/media/media-catalogue.js';
import type { MediaLookup } from '../media/lookup/lookup.js';
import { asOf } from '../media/retention.js';
import type { TenantId } from '../model/channel.js';
import { type Clock, dateOf } from '../model/clock.js';
import type { DecodedMediaId } from '../model/ids.js';
import type { MediaId } from '../model/media.js';
import type { CallOptions } from '../providers/provider-adapter.js';
import { isStored, type StoredMedia } from './delivery.js';
import { asLinkFault } from './delivery-faults.js';
import type { StoredRows } from './stored-rows.js';

export interface DeliveryLookupOptions {
  readonly rows: StoredRows;
  /** Asks the provider about media without a row. */
  readonly lookup: Pick<MediaLookup, 'record'>;
  readonly clock: Clock;
}

type MediaKey = { readonly tenant: TenantId; readonly id: MediaId };

/** Finds the rows of media that links grant. */
export class DeliveryLookup {
  constructor(private readonly options: DeliveryLookupOptions) {}

  /** The row as of now. Null: neither the catalogue nor the provider knows the media. */
  async find({ tenant, id }: MediaKey, parts: DecodedMediaId, options: CallOptions): Promise<CataloguedMedia | null> {
    const { rows, lookup, clock } = this.options;
    let row = await rows.find(tenant, id);
    if (!row && 'providerMessageId' in parts) {
      // A link may be opened, here or on another replica, before the listing that it came from is recorded.
      await asLinkFault(lookup.record(tenant, id, options));
      rows.forget(tenant, id);
      row = await rows.find(tenant, id);
    }
    return row && asOf(row, dateOf(clock));
  }

  forget({ tenant, id }: MediaKey): void {
    this.options.rows.forget(tenant, id);
  }

  /** Whether the media is still READY with the same bytes, by its current row. */
  async isStillReady(media: StoredMedia): Promise<boolean> {
    const { rows, clock } = this.options;
    this.forget(media);
    const row = await rows.find(media.tenant, media.id);
    return row?.stored?.sha256 === media.stored.sha256 && asOf(row, dateOf(clock)).status === 'READY';
  }

  /** Whether the media is READY and unchanged by its remembered row. False where no row is remembered. */
  isKnownUnchanged(media: StoredMedia): boolean {
    const { rows, clock } = this.options;
    const row = rows.peek(media.tenant, media.id);
    if (row === null || asOf(row, dateOf(clock)).status !== 'READY' || !isStored(row)) return false;
    return row === media || isDescribedAlike(row, media);
  }
}

/** Whether a delivery of both has the same headers and bytes. */
function isDescribedAlike(a: StoredMedia, b: StoredMedia): boolean {
  return (
    a.stored.sha256 === b.stored.sha256 &&
    a.stored.at.getTime() === b.stored.at.getTime() &&
    a.createdAt?.getTime() === b.createdAt?.getTime() &&
    a.filename === b.filename
  );
}
