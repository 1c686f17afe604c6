import type { ConnectedChannel } from './channel-directory.js';

/** See MediaChannelCapabilities in the schema. */
export interface ChannelCapabilities {
  readonly listsMedia: boolean;
  readonly upload: 'BYTES' | 'URL' | 'NONE';
  readonly deletesAtProvider: boolean;
  readonly receivesWebhooks: boolean;
  readonly maxUploadBytes: number;
  readonly uploadMimeTypes: readonly string[];
}

/** Read off the adapter's methods. `maxBytes` binds where the provider takes no uploads and media stay here. */
export function capabilitiesOf({ adapter, webhook }: ConnectedChannel, maxBytes: number): ChannelCapabilities {
  return {
    listsMedia: adapter.listMedia !== undefined,
    upload: adapter.uploadMedia ? 'BYTES' : adapter.uploadMediaFromUrl ? 'URL' : 'NONE',
    deletesAtProvider: adapter.deleteMedia !== undefined,
    receivesWebhooks: webhook !== null,
    maxUploadBytes: adapter.uploadLimits?.maxBytes ?? maxBytes,
    uploadMimeTypes: adapter.uploadLimits?.mimeTypes ?? [],
  };
}
