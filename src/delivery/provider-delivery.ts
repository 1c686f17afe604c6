import type { DescribedBytes, MediaRequest } from './delivery.js';
import type { LazyMirror } from './first-copy.js';
import { openAtProvider, type ProviderBytes } from './provider-bytes.js';

/** Delivers media whose bytes are at its provider only. */
export class ProviderDelivery {
  /** @param lazyMirror stores what is delivered for the first time; null where nothing is stored (`mirror.mode` off) */
  constructor(private readonly lazyMirror: LazyMirror | null) {}

  async describe(requested: MediaRequest): Promise<DescribedBytes> {
    const provided = await this.open(requested);
    const { mimeType, sizeBytes, filename, lastModified } = provided;
    return {
      mimeType,
      sizeBytes,
      sha256: null,
      filename,
      lastModified,
      negotiated: false,
      handOver: null,
      offload: null,
      open: (range) => provided.open(range),
      close: () => provided.close(),
    };
  }

  open({ channel, media, request }: MediaRequest): Promise<ProviderBytes> {
    if (!this.lazyMirror) return openAtProvider(channel, media, request);
    return this.lazyMirror.open(channel, media, { signal: request.signal, sized: request.partly });
  }
}
