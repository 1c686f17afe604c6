import type { EmulatorServer } from './emulators/emulator-server.js';
import type { WebhookDelivery } from './emulators/whatsapp/whatsapp-webhook.js';

/** A channel as the configuration file has it. */
export interface DemoChannel {
  readonly id: string;
  readonly provider: string;
  readonly baseUrl: string;
  readonly credentials: Readonly<Record<string, string>>;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly webhook?: Readonly<Record<string, string>>;
}

/** One line at one provider, and what customers sent through it. */
export interface DemoLine {
  readonly channel: DemoChannel;
  /** By the provider's own ids. */
  readonly messages: readonly string[];
  /** What announces a message; absent: nobody does, and the provider must be asked. */
  readonly webhook?: DemoWebhook;
  /** Absent: the provider keeps media until they are deleted. */
  readonly expiry?: DemoExpiry;
  /** Everything that plays the provider. */
  readonly servers: readonly EmulatorServer[];
}

export interface DemoWebhook {
  /** The one of the line's messages that it is about. */
  readonly messageId: string;
  /** For people: what the customer sent. */
  readonly sent: string;
  /** For people: what the server knows the sender by. */
  readonly provenBy: string;
  /** What the address that the provider was told ends in, e.g. `?token=…`. */
  readonly query?: string;
  /** Body and headers for the address that the provider was told; valid for the next minutes. */
  make(url: string): WebhookDelivery;
}

export interface DemoExpiry {
  /** Ends all media of the line at the provider. */
  run(): void;
  /** What the provider is asked for one of them, with its credentials. */
  readonly question: ProviderQuestion;
}

/** A `GET`. */
export interface ProviderQuestion {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}
