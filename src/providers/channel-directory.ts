import type { Channel, ChannelId, TenantId } from '../model/channel.js';
import { MediagraphError } from '../model/errors.js';
import type { ProviderAdapter, WebhookReceiver } from './provider-adapter.js';

/** A channel with its adapter and its webhook receiver. */
export interface ConnectedChannel extends Channel {
  readonly adapter: ProviderAdapter;
  /** null = the configuration has no webhook for this channel. */
  readonly webhook: WebhookReceiver | null;
  /** `channels[].retention` in milliseconds; null or absent: the channel sets none. */
  readonly retention?: number | null;
}

/**
 * All channels of this process, which change when the configuration is reloaded. A channel of another tenant looks
 * exactly like one that does not exist.
 */
export class ChannelDirectory {
  #byId: ReadonlyMap<ChannelId, ConnectedChannel> = new Map();
  #all: readonly ConnectedChannel[] = [];
  #withWebhook: readonly ConnectedChannel[] = [];
  readonly #followers = new Set<() => void>();

  constructor(channels: Iterable<ConnectedChannel>) {
    this.replace(channels);
  }

  /** Takes effect for later look-ups. Work in progress keeps the channels that it has found. */
  replace(channels: Iterable<ConnectedChannel>): void {
    this.#all = [...channels];
    this.#withWebhook = this.#all.filter(({ webhook }) => webhook !== null);
    this.#byId = new Map(this.#all.map((channel) => [channel.id, channel]));
    for (const follower of this.#followers) follower();
  }

  /** Calls `onReplaced` after each change of the channels. @returns ends that */
  follow(onReplaced: () => void): () => void {
    this.#followers.add(onReplaced);
    return () => this.#followers.delete(onReplaced);
  }

  /** The same list until the channels change. */
  all(): readonly ConnectedChannel[] {
    return this.#all;
  }

  /** The channels that can read webhooks: the same list until the channels change. */
  withWebhook(): readonly ConnectedChannel[] {
    return this.#withWebhook;
  }

  find(tenant: TenantId, id: ChannelId): ConnectedChannel | null {
    const channel = this.#byId.get(id);
    return channel?.tenant === tenant ? channel : null;
  }

  /** @throws MediagraphError CHANNEL_NOT_FOUND */
  get(tenant: TenantId, id: ChannelId): ConnectedChannel {
    const channel = this.find(tenant, id);
    if (!channel) throw unknownChannel(id);
    return channel;
  }

  /** Finds the channel of a signed link. A link names no tenant; its signature authorizes the channel. */
  findForSignedLink(id: ChannelId): ConnectedChannel | null {
    return this.#byId.get(id) ?? null;
  }

  /** Finds the channel of a webhook. A webhook names no tenant; its signature authorizes the channel. */
  findForWebhook(id: ChannelId): ConnectedChannel | null {
    return this.#byId.get(id) ?? null;
  }

  /** Lists a tenant's channels in the order of the configuration. */
  list(tenant: TenantId): ConnectedChannel[] {
    return this.#all.filter((channel) => channel.tenant === tenant);
  }
}

export function unknownChannel(channelId: ChannelId): MediagraphError {
  return new MediagraphError('CHANNEL_NOT_FOUND', 'expected the id of one of your channels, got an unknown one', {
    channelId,
  });
}
