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

/** One line at one provider, and the messages that customers sent through it. */
export interface DemoLine {
  readonly channel: DemoChannel;
  /** The messages' ids at the provider. */
  readonly messages: readonly string[];
  /** The webhook that announces a message. Absent: the provider sends none, so the server queries the provider. */
  readonly webhook?: DemoWebhook;
  /** Absent: the provider keeps media until they are deleted. */
  readonly expiry?: DemoExpiry;
  /** The emulators of the provider. */
  readonly servers: readonly EmulatorServer[];
}

export interface DemoWebhook {
  /** The message of the line that it announces. */
  readonly messageId: string;
  /** The column MESSAGE of the report. */
  readonly sent: string;
  /** The column AUTHENTICATED BY of the report. */
  readonly provenBy: string;
  /** The query of the webhook's URL, for example `?token=…`. */
  readonly query?: string;
  /** Body and headers of the webhook for that URL. Its signature is valid for some minutes. */
  make(url: string): WebhookDelivery;
}

export interface DemoExpiry {
  /** Deletes all media of the line at the provider. */
  run(): void;
  /** A request for one of them, with the provider's credentials. */
  readonly request: ProviderRequest;
}

/** A `GET` request. */
export interface ProviderRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}
