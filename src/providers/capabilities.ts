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

/**
 * Derives the capabilities from the adapter's methods.
 * @param maxBytes this server's own upload limit
 */
export function capabilitiesOf({ adapter, webhook }: ConnectedChannel, maxBytes: number): ChannelCapabilities {
  const limits = [...(adapter.uploadLimits ?? [])];
  return {
    listsMedia: adapter.listMedia !== undefined,
    upload: adapter.uploadMedia ? 'BYTES' : adapter.uploadMediaFromUrl ? 'URL' : 'NONE',
    deletesAtProvider: adapter.deleteMedia !== undefined,
    receivesWebhooks: webhook !== null,
    maxUploadBytes: limits.length > 0 ? Math.min(maxBytes, Math.max(...limits.map(([, bytes]) => bytes))) : maxBytes,
    uploadMimeTypes: limits.map(([mimeType]) => mimeType),
  };
}
