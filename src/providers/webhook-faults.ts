import type { Channel } from '../model/channel.js';
import { MediagraphError } from '../model/errors.js';
import { assertProviderMessageId } from '../model/ids.js';

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

  /** A body, or one event of it, that is not what the provider documents. */
  protocol(came: string): MediagraphError {
    return this.#error('PROVIDER_PROTOCOL', `expected the provider's documented webhook, got ${came}`);
  }

  /** The id of a message, fit to be a part of paths and of ids of ours. @throws MediagraphError PROVIDER_PROTOCOL */
  messageId(id: string): string {
    try {
      assertProviderMessageId(id);
    } catch {
      throw this.protocol('a message id that no provider can have issued');
    }
    return id;
  }

  /** Runs `read`; a fault of ours is collected in its stead, so that the other events are still heard. */
  collect<Result>(into: MediagraphError[], read: () => Result): Result | undefined {
    try {
      return read();
    } catch (thrown) {
      if (!(thrown instanceof MediagraphError)) throw thrown;
      into.push(thrown);
      return undefined;
    }
  }

  #error(code: 'WEBHOOK_REJECTED' | 'PROVIDER_PROTOCOL', message: string): MediagraphError {
    return new MediagraphError(code, message, { provider: this.channel.provider, channelId: this.channel.id });
  }
}
