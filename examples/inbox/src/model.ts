import type {
  MediaDeletionScope,
  MediaFieldsFragment,
  MediaKind,
  MediaProvider,
  MessageFieldsFragment,
} from './operations.generated.js';

export type Media = MediaFieldsFragment;
export type Message = MessageFieldsFragment;

/** Media whose link works. */
export type ReadyMedia = Media & { readonly status: 'READY'; readonly url: string };

export function isReady(media: Media): media is ReadyMedia {
  return media.status === 'READY' && media.url !== null;
}

/** As people say it, in the middle of a sentence. */
const KIND_WORDS: Readonly<Record<MediaKind, string>> = {
  IMAGE: 'photo',
  STICKER: 'sticker',
  AUDIO: 'voice message',
  VIDEO: 'video',
  DOCUMENT: 'document',
  OTHER: 'file',
};

export function kindWord(kind: MediaKind): string {
  return KIND_WORDS[kind];
}

export function capitalised(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const PROVIDER_NAMES: Readonly<Record<MediaProvider, string>> = {
  KIRIM: 'WhatsApp by Kirim',
  SIGNALWIRE: 'MMS by SignalWire',
  CHAKRA: 'WhatsApp by Chakra',
  WA_GATEWAY: 'WhatsApp gateway',
  GUPSHUP: 'WhatsApp by Gupshup',
  TWILIO: 'MMS by Twilio',
  WHATSAPP_CLOUD: 'WhatsApp',
};

export function providerName(provider: MediaProvider): string {
  return PROVIDER_NAMES[provider];
}

const SCOPE_WORDS: Readonly<Record<MediaDeletionScope, string>> = {
  PROVIDER: 'at the provider and here',
  LOCAL: 'here; the provider may still have it',
};

/** Where a deleted media is gone, after "deleted". */
export function scopeWords(scope: MediaDeletionScope): string {
  return SCOPE_WORDS[scope];
}
