import { registerEnumType } from 'type-graphql';
import type { ProviderName } from '../../model/channel.js';

/** GraphQL name → the word used inside; the provider's is its name in the configuration. */
export const MediaProvider = {
  KIRIM: 'kirim',
  SIGNALWIRE: 'signalwire',
  CHAKRA: 'chakra',
  WA_GATEWAY: 'wa-gateway',
  GUPSHUP: 'gupshup',
  TWILIO: 'twilio',
  WHATSAPP_CLOUD: 'whatsapp-cloud',
} as const;

const PROVIDERS_IN_GRAPHQL = new Map<string, string>(
  Object.entries(MediaProvider).map(([value, name]) => [name, value]),
);

/** The value of the enum for a provider's name in the configuration. */
export function providerInGraphQL(name: ProviderName): string {
  return PROVIDERS_IN_GRAPHQL.get(name) ?? name;
}

export const MediaKind = {
  IMAGE: 'IMAGE',
  VIDEO: 'VIDEO',
  AUDIO: 'AUDIO',
  DOCUMENT: 'DOCUMENT',
  STICKER: 'STICKER',
  OTHER: 'OTHER',
} as const;

export const MediaStatus = {
  PENDING: 'PENDING',
  READY: 'READY',
  FAILED: 'FAILED',
  DELETED: 'DELETED',
  EXPIRED: 'EXPIRED',
} as const;

/** The same word on both sides: a default value is printed into the SDL before inner words are known. */
export const MediaDisposition = { INLINE: 'INLINE', ATTACHMENT: 'ATTACHMENT' } as const;

/** The same word on both sides, as above. */
export const MediaThumbnailFit = { COVER: 'COVER', CONTAIN: 'CONTAIN' } as const;

/** The same word on both sides, as above. */
export const MediaPreference = { ORIGINAL: 'ORIGINAL', PLAYABLE: 'PLAYABLE' } as const;

export const MediaUploadMode = { BYTES: 'BYTES', URL: 'URL', NONE: 'NONE' } as const;

export const MediaDeletionScope = { PROVIDER: 'PROVIDER', LOCAL: 'LOCAL' } as const;

registerEnumType(MediaProvider, {
  name: 'MediaProvider',
  description: 'A messaging service whose media this subgraph unifies.',
});
registerEnumType(MediaKind, {
  name: 'MediaKind',
  description: 'What the message carries the file as. A picture sent as a document is a DOCUMENT.',
});
registerEnumType(MediaStatus, {
  name: 'MediaStatus',
  description: 'How far a media is on its way.',
  valuesConfig: {
    PENDING: { description: 'Known to exist; the bytes cannot be had yet.' },
    READY: { description: 'The URL works.' },
    FAILED: { description: 'The bytes could not be had so far; failure says why, and whether retryMedia may help.' },
    DELETED: { description: 'Deleted, here or at the provider.' },
    EXPIRED: { description: 'expiresAt has passed.' },
  },
});
registerEnumType(MediaDisposition, {
  name: 'MediaDisposition',
  description: 'Whether a browser shows the file or saves it. Types that could run script are saved in any case.',
});
registerEnumType(MediaThumbnailFit, {
  name: 'MediaThumbnailFit',
  description: 'How a still takes the shape that is asked for.',
  valuesConfig: {
    COVER: { description: 'It fills the shape; what sticks out is cut off.' },
    CONTAIN: { description: 'All of it is within the shape.' },
  },
});
registerEnumType(MediaPreference, {
  name: 'MediaPreference',
  description: 'Which bytes a URL opens.',
  valuesConfig: {
    ORIGINAL: { description: 'As they were sent.' },
    PLAYABLE: {
      description:
        'Sound that not every browser plays (Ogg, AMR) as AAC in MP4, made when it is first opened; the original of everything else, and where the server has no ffmpeg.',
    },
  },
});
registerEnumType(MediaDeletionScope, {
  name: 'MediaDeletionScope',
  description: 'Where a deleted media is gone.',
  valuesConfig: {
    PROVIDER: { description: 'At the provider and here.' },
    LOCAL: { description: 'Here: bytes, thumbnails, links; and nothing lists it. The provider has no deletion of it.' },
  },
});
registerEnumType(MediaUploadMode, {
  name: 'MediaUploadMode',
  description: 'How an upload reaches the provider.',
  valuesConfig: {
    BYTES: { description: 'Its bytes are sent to the provider.' },
    URL: { description: 'The provider fetches it from a URL of ours.' },
    NONE: { description: 'It stays here; sending a message takes its URL.' },
  },
});
