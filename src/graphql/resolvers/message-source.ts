import { MediagraphError, toError } from '../../model/errors.js';
import { formatMessageId, type ParsedMessageId, parseMessageId } from '../../model/ids.js';
import type { MessageKey } from '../../model/media.js';

/** What `Message.id` is where this subgraph writes it; see `federation.messageIds` of the configuration. */
export const MESSAGE_IDS = ['transparent', 'bare', 'owned'] as const;
export type MessageIds = (typeof MESSAGE_IDS)[number];

/** Finds the messages that a provider's own id may mean, among the caller's channels. */
export interface MessageKeys {
  load(providerMessageId: string): Promise<readonly MessageKey[]>;
}

type Eventually<Value> = Value | Promise<Value>;

/** What a Message resolves from: the id as it was given, and where it leads. */
export class MessageSource {
  /** Federation finds an entity's type by it. */
  readonly __typename = 'Message';

  private constructor(
    readonly id: string,
    private readonly target: ParsedMessageId | Error,
  ) {}

  /** Never throws: a faulty id is reported at the fields that need more than the id itself. */
  static fromId(id: string): MessageSource {
    try {
      return new MessageSource(id, parseMessageId(id));
    } catch (thrown) {
      return new MessageSource(id, toError(thrown));
    }
  }

  /** From the pair, where nobody gave an id: it is written as the supergraph wants it. */
  static fromKey({ channelId, providerMessageId }: MessageKey, messageIds: MessageIds): MessageSource {
    const key = { form: 'qualified', channelId, providerMessageId } as const;
    return new MessageSource(messageIds === 'bare' ? providerMessageId : formatMessageId(key), key);
  }

  /**
   * null for a provider's bare message id that no channel is known for.
   * @throws MediagraphError BAD_USER_INPUT; MESSAGE_NOT_FOUND for a bare id that several channels know
   */
  locate(keys: MessageKeys): Eventually<MessageKey | null> {
    if (this.target instanceof Error) throw this.target;
    if (this.target.form === 'qualified') return this.target;
    return keys.load(this.target.providerMessageId).then((found) => {
      if (found.length > 1) throw notFound(`one that ${found.length} of them know; name the channel`);
      return found[0] ?? null;
    });
  }

  /** @throws MediagraphError as `locate`, and MESSAGE_NOT_FOUND where that gives null */
  mustLocate(keys: MessageKeys): Eventually<MessageKey> {
    const located = this.locate(keys);
    return located instanceof Promise ? located.then(known) : known(located);
  }
}

function known(key: MessageKey | null): MessageKey {
  if (!key) throw notFound('one that none of them knows');
  return key;
}

function notFound(came: string): MediagraphError {
  return new MediagraphError('MESSAGE_NOT_FOUND', `expected the id of a message of your channels, got ${came}`);
}
