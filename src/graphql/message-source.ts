import { MediagraphError, toError } from '../model/errors.js';
import { formatMessageId, parseMessageId } from '../model/ids.js';
import type { MessageKey } from '../model/media.js';

/** What `Message.id` is where this subgraph writes it; see `federation.messageIds` of the configuration. */
export type MessageIds = 'transparent' | 'bare' | 'owned';

/** What a Message resolves from: the id as it was given, and where it leads. */
export class MessageSource {
  /** Federation finds an entity's type by it. */
  readonly __typename = 'Message';

  private constructor(
    readonly id: string,
    private readonly target: MessageKey | null | Error,
  ) {}

  /** Never throws: a faulty id is reported at the fields that need more than the id itself. */
  static fromId(id: string): MessageSource {
    try {
      const parsed = parseMessageId(id);
      return new MessageSource(id, parsed.form === 'qualified' ? parsed : null);
    } catch (thrown) {
      return new MessageSource(id, toError(thrown));
    }
  }

  /** From the pair, where nobody gave an id: it is written as the supergraph wants it. */
  static fromKey(key: MessageKey, messageIds: MessageIds): MessageSource {
    return new MessageSource(messageIds === 'bare' ? key.providerMessageId : formatMessageId(key), key);
  }

  /** null for a provider's bare message id, which no channel is known for. @throws MediagraphError BAD_USER_INPUT */
  get key(): MessageKey | null {
    if (this.target instanceof Error) throw this.target;
    return this.target;
  }

  /** @throws MediagraphError BAD_USER_INPUT, MESSAGE_NOT_FOUND */
  get knownKey(): MessageKey {
    const { key } = this;
    if (!key)
      throw new MediagraphError(
        'MESSAGE_NOT_FOUND',
        'expected the id of a message of your channels, got one that none of them knows',
      );
    return key;
  }
}
