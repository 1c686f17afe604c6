import type { Channel, ChannelId, TenantId } from '../model/channel.js';
import { MediagraphError } from '../model/errors.js';
import type { ProviderAdapter, WebhookReceiver } from './provider-adapter.js';

/** A channel, the adapter that speaks for it, and what understands its webhooks. */
export interface ConnectedChannel extends Channel {
  readonly adapter: ProviderAdapter;
  /** null: the configuration names no webhook for it. */
  readonly webhook: WebhookReceiver | null;
}

/** All channels of this process. A channel of another tenant is answered exactly like one that does not exist. */
export class ChannelDirectory {
  readonly #byId: ReadonlyMap<ChannelId, ConnectedChannel>;

  constructor(channels: Iterable<ConnectedChannel>) {
    this.#byId = new Map([...channels].map((channel) => [channel.id, channel]));
  }

  find(tenant: TenantId, id: ChannelId): ConnectedChannel | null {
    const channel = this.#byId.get(id);
    return channel?.tenant === tenant ? channel : null;
  }

  /** @throws MediagraphError CHANNEL_NOT_FOUND */
  get(tenant: TenantId, id: ChannelId): ConnectedChannel {
    const channel = this.find(tenant, id);
    if (!channel)
      throw new MediagraphError('CHANNEL_NOT_FOUND', 'expected the id of one of your channels, got an unknown one', {
        channelId: id,
      });
    return channel;
  }

  /** For a signed link, which names no tenant: its signature vouches for the channel. */
  findForSignedLink(id: ChannelId): ConnectedChannel | null {
    return this.#byId.get(id) ?? null;
  }

  /** For a webhook, which names no tenant: its signature vouches for the channel. */
  findForWebhook(id: ChannelId): ConnectedChannel | null {
    return this.#byId.get(id) ?? null;
  }

  /** In the order of the configuration. */
  list(tenant: TenantId): ConnectedChannel[] {
    return [...this.#byId.values()].filter((channel) => channel.tenant === tenant);
  }
}
