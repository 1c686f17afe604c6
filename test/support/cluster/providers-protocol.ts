import type { WebhookDelivery } from '../../../demo/src/emulators/whatsapp/whatsapp-webhook.js';

/** Providers that send webhooks. Kirim and Twilio also list the media of a message. */
export const WEBHOOK_PROVIDERS = ['meta', 'kirim', 'twilio', 'gateway'] as const;
export const LISTING_PROVIDERS = ['kirim', 'twilio'] as const;
export type ClusterProvider = (typeof WEBHOOK_PROVIDERS)[number];

/** A message with one photo, as its provider has it. */
export interface ReceivedPhoto {
  readonly channelId: string;
  /** What callers of the server name the message. */
  readonly messageId: string;
  /** Announces the photo. */
  readonly delivery: WebhookDelivery;
}

/** A file that a provider accepted, in the order of the requests. */
export interface AcceptedUpload {
  readonly id: string;
  readonly sha256: string;
}

/** What the providers were asked for since their start. */
export interface AskedOfProviders {
  readonly uploads: readonly AcceptedUpload[];
  /** The number of requests for each source of an upload, by its path. */
  readonly sources: Readonly<Record<string, number>>;
  /** What the providers deleted: Meta's ids of media, and Twilio's ids of messages. */
  readonly deleted: readonly string[];
  /** Meta's ids of all media that it has now. */
  readonly present: readonly string[];
}

export interface ProvidersFacts {
  /** The section `channels` of the configuration. */
  readonly channels: ReadonlyArray<Readonly<Record<string, unknown>>>;
  /** The origin of the sources of uploads, which serves photo `n` at `/photos/n.jpg`. */
  readonly sourceUrl: string;
}

/** The calls of the process. Each has one argument at most, and one result. */
export interface ProvidersCalls {
  start(): Promise<ProvidersFacts>;
  receive(photo: { readonly provider: ClusterProvider; readonly index: number }): Promise<ReceivedPhoto>;
  asked(): Promise<AskedOfProviders>;
}

/** A channel on which uploads are passed on to the provider, and one on which they stay here. */
export const UPLOAD_CHANNELS = ['cloud', 'wa'] as const;
