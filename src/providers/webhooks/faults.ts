import type { Channel } from '../../model/channel.js';
import { MediagraphError } from '../../model/errors.js';
import { isProviderMessageId } from '../../model/ids.js';
import type { WebhookFault, WebhookTold } from '../provider-adapter.js';

/**
 * The errors of one channel's webhooks. Messages say what was expected and what kind of thing came; secrets, signatures
 * and bodies are never a part of them, and there is no `cause`: a parser's own error quotes what it could not read.
 */
export class WebhookFaults {
  constructor(private readonly channel: Pick<Channel, 'id' | 'provider'>) {}

  /** What cannot be told from a forgery. */
  rejected(expected: string, came: string): MediagraphError {
    return this.#error('WEBHOOK_REJECTED', `expected ${expected}, got ${came}`);
  }

  /** A body that is not what the provider documents. */
  protocol(came: string): MediagraphError {
    return this.#error('PROVIDER_PROTOCOL', messageOf(came));
  }

  /** The id of a message, fit to be a part of paths and of ids of ours. @throws MediagraphError PROVIDER_PROTOCOL */
  messageId(id: string): string {
    if (!isProviderMessageId(id)) throw this.protocol(BAD_ID);
    return id;
  }

  #error(code: 'WEBHOOK_REJECTED' | 'PROVIDER_PROTOCOL', message: string): MediagraphError {
    return new MediagraphError(code, message, { provider: this.channel.provider, channelId: this.channel.id });
  }
}

/** A part of a body that is not what the provider documents. */
export function partFault(came: string): WebhookFault {
  return { type: 'fault', code: 'PROVIDER_PROTOCOL', message: messageOf(came) };
}

const BAD_ID = 'a message id that no provider can have issued';

export const BAD_MESSAGE_ID = partFault(BAD_ID);

const BAD_NESTING = partFault('more than 64 containers in one another');

/** What a body tells, and that a part of it lies too deep to be read. */
export function* toldOf(told: Iterable<WebhookTold>, isTooDeep: boolean): Iterable<WebhookTold> {
  if (isTooDeep) yield BAD_NESTING;
  yield* told;
}

function messageOf(came: string): string {
  return `expected the provider's documented webhook, got ${came}`;
}
