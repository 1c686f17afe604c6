import { registerEnumType } from 'type-graphql';
import type { Disposition } from '../../links/signed-url.js';
import type { ProviderName } from '../../model/channel.js';
import type { DeletionScope, MediaKind as Kind, MediaStatus as Status } from '../../model/media.js';
import type { Rendition, Still } from '../../model/rendition.js';
import type { ChannelCapabilities } from '../../providers/capabilities.js';

/**
 * An enum whose values are the words of a union of the model. With `satisfies`, a missing or an extra value does not
 * compile.
 */
type EnumOf<Word extends string> = { readonly [Value in Word]: Value };

/** The enum value of a provider: its name in the configuration, in upper case and with underscores. */
type ProviderValue<Name extends string> = Name extends `${infer Head}-${infer Tail}`
  ? `${Uppercase<Head>}_${ProviderValue<Tail>}`
  : Uppercase<Name>;

/** GraphQL value → name in the configuration, which is the value inside. */
export const MediaProvider = {
  KIRIM: 'kirim',
  SIGNALWIRE: 'signalwire',
  CHAKRA: 'chakra',
  WA_GATEWAY: 'wa-gateway',
  GUPSHUP: 'gupshup',
  TWILIO: 'twilio',
  WHATSAPP_CLOUD: 'whatsapp-cloud',
} as const satisfies { readonly [Name in ProviderName as ProviderValue<Name>]: Name };

/** The enum value of a provider, for errors, which GraphQL does not serialize by the schema. */
export function providerInGraphQL(name: ProviderName): string {
  return name.toUpperCase().replaceAll('-', '_');
}

export const MediaKind = {
  IMAGE: 'IMAGE',
  VIDEO: 'VIDEO',
  AUDIO: 'AUDIO',
  DOCUMENT: 'DOCUMENT',
  STICKER: 'STICKER',
  OTHER: 'OTHER',
} as const satisfies EnumOf<Kind>;

export const MediaStatus = {
  PENDING: 'PENDING',
  READY: 'READY',
  FAILED: 'FAILED',
  DELETED: 'DELETED',
  EXPIRED: 'EXPIRED',
} as const satisfies EnumOf<Status>;

// Enums that are the type of an argument with a default use the GraphQL value inside, too: the printer of the SDL writes
// the inner value of a default.

export const MediaDisposition = {
  INLINE: 'INLINE',
  ATTACHMENT: 'ATTACHMENT',
} as const satisfies EnumOf<Uppercase<Disposition>>;

export const DISPOSITIONS = {
  INLINE: 'inline',
  ATTACHMENT: 'attachment',
} as const satisfies Record<keyof typeof MediaDisposition, Disposition>;

export const MediaThumbnailFit = {
  COVER: 'COVER',
  CONTAIN: 'CONTAIN',
} as const satisfies EnumOf<Uppercase<Still['fit']>>;

export const FITS = {
  COVER: 'cover',
  CONTAIN: 'contain',
} as const satisfies Record<keyof typeof MediaThumbnailFit, Still['fit']>;

export const MediaPreference = {
  ORIGINAL: 'ORIGINAL',
  PLAYABLE: 'PLAYABLE',
} as const satisfies EnumOf<Uppercase<Exclude<Rendition['kind'], Still['kind']>>>;

export const MediaUploadMode = {
  BYTES: 'BYTES',
  URL: 'URL',
  NONE: 'NONE',
} as const satisfies EnumOf<ChannelCapabilities['upload']>;

export const MediaDeletionScope = {
  PROVIDER: 'PROVIDER',
  LOCAL: 'LOCAL',
} as const satisfies EnumOf<DeletionScope>;

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
