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
  description: 'A messaging provider.',
});
registerEnumType(MediaKind, {
  name: 'MediaKind',
  description: 'The kind of attachment that the sender chose. A picture that was sent as a document is a DOCUMENT.',
});
registerEnumType(MediaStatus, {
  name: 'MediaStatus',
  description: 'The state of a media.',
  valuesConfig: {
    PENDING: { description: 'The media is known, but its bytes are not available yet.' },
    READY: { description: 'The bytes are available at url.' },
    FAILED: { description: 'The server could not fetch the bytes. failure contains the reason.' },
    DELETED: { description: 'The media was deleted by deleteMedia or at the provider.' },
    EXPIRED: { description: 'The time expiresAt has passed.' },
  },
});
registerEnumType(MediaDisposition, {
  name: 'MediaDisposition',
  description:
    'Whether a browser displays the file or saves it. A browser always saves types that could execute a script.',
});
registerEnumType(MediaThumbnailFit, {
  name: 'MediaThumbnailFit',
  description: 'How a still image fits the requested size.',
  valuesConfig: {
    COVER: { description: 'The image fills the size, and the server crops the rest.' },
    CONTAIN: { description: 'The whole image fits within the size.' },
  },
});
registerEnumType(MediaPreference, {
  name: 'MediaPreference',
  description: 'The version of the file that a URL opens.',
  valuesConfig: {
    ORIGINAL: { description: 'The original file.' },
    PLAYABLE: {
      description:
        'Sound as AAC in MP4 if not every browser plays its format (Ogg, AMR). The server converts it at the first request. Other files, and all files on a server without ffmpeg, stay unchanged.',
    },
  },
});
registerEnumType(MediaDeletionScope, {
  name: 'MediaDeletionScope',
  description: 'Where the media was deleted.',
  valuesConfig: {
    PROVIDER: { description: 'At the provider and in this server.' },
    LOCAL: {
      description:
        'In this server only, including bytes, thumbnails and links, because the provider does not support deletion of this media.',
    },
  },
});
registerEnumType(MediaUploadMode, {
  name: 'MediaUploadMode',
  description: 'How the server passes an upload to the provider.',
  valuesConfig: {
    BYTES: { description: 'The server sends the bytes to the provider.' },
    URL: { description: 'The provider downloads the file from a URL of this server.' },
    NONE: { description: 'The server keeps the upload. The provider sends messages with its URL.' },
  },
});
