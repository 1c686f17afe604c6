import type { Channel } from '../../model/channel.js';
import { MediagraphError } from '../../model/errors.js';
import { isProviderMessageId } from '../../model/ids.js';
import type { WebhookFault, WebhookItem } from '../provider-adapter.js';

/**
 * Creates the errors of one channel's webhooks. Messages say what was expected and what kind of value came. They never
 * contain secrets, signatures or bodies, and have no `cause`, because a parser's error quotes its input.
 */
export class WebhookFaults {
  constructor(private readonly channel: Pick<Channel, 'id' | 'provider'>) {}

  /** A request that may be forged. */
  rejected(expected: string, came: string): MediagraphError {
    return this.#error('WEBHOOK_REJECTED', `expected ${expected}, got ${came}`);
  }

  /** A body that is not as the provider documents it. */
  protocol(came: string): MediagraphError {
    return this.#error('PROVIDER_PROTOCOL', messageOf(came));
  }

  /**
   * Returns a message id that is safe in paths and in our ids.
   * @throws MediagraphError PROVIDER_PROTOCOL
   */
  messageId(id: string): string {
    if (!isProviderMessageId(id)) throw this.protocol(BAD_ID);
    return id;
  }

  #error(code: 'WEBHOOK_REJECTED' | 'PROVIDER_PROTOCOL', message: string): MediagraphError {
    return new MediagraphError(code, message, { provider: this.channel.provider, channelId: this.channel.id });
  }
}

/** An element that is not as the provider documents it. */
export function partFault(came: string): WebhookFault {
  return { type: 'fault', code: 'PROVIDER_PROTOCOL', message: messageOf(came) };
}

const BAD_ID = 'a message id that no provider can have issued';

export const BAD_MESSAGE_ID = partFault(BAD_ID);

const BAD_NESTING = partFault('more than 64 containers in one another');

/** Adds a fault to the elements of a body if a part of the body is nested too deep to be read. */
export function* withNestingFault(items: Iterable<WebhookItem>, isTooDeep: boolean): Iterable<WebhookItem> {
  if (isTooDeep) yield BAD_NESTING;
  yield* items;
}

function messageOf(came: string): string {
  return `expected the provider's documented webhook, got ${came}`;
}
