import { MediagraphError, toError } from '../../model/errors.js';
import { formatMessageId, type ParsedMessageId, parseMessageId } from '../../model/ids.js';
import type { MessageKey } from '../../model/media.js';
import { unknownChannel } from '../../providers/channel-directory.js';

/** The forms of `Message.id` in answers: `federation.messageIds` of the configuration. */
export const MESSAGE_IDS = ['transparent', 'bare', 'owned'] as const;
export type MessageIds = (typeof MESSAGE_IDS)[number];

/** Loads the messages of the caller's channels that have a provider's bare message id. */
export interface MessageKeys {
  load(providerMessageId: string): Promise<readonly MessageKey[]>;
}

type Eventually<Value> = Value | Promise<Value>;

/** The source of a `Message`: its id, and the message that the id names. */
export class MessageSource {
  /** Federation reads the type of an entity from it. */
  readonly __typename = 'Message';

  private constructor(
    readonly id: string,
    private readonly target: ParsedMessageId | Error,
  ) {}

  /** Never throws. A faulty id is an error of the fields that need more than the id. */
  static fromId(id: string): MessageSource {
    try {
      return new MessageSource(id, parseMessageId(id));
    } catch (thrown) {
      return new MessageSource(id, toError(thrown));
    }
  }

  /** Makes the id from the pair, in the form of the supergraph. */
  static fromKey({ channelId, providerMessageId }: MessageKey, messageIds: MessageIds): MessageSource {
    const key = { form: 'qualified', channelId, providerMessageId } as const;
    return new MessageSource(messageIds === 'bare' ? providerMessageId : formatMessageId(key), key);
  }

  /**
   * Resolves to null for a bare message id that no channel knows.
   * @throws MediagraphError BAD_USER_INPUT; CHANNEL_NOT_FOUND for a channel id that no channel can have;
   * MESSAGE_NOT_FOUND for a bare id that several channels know
   */
  locate(keys: MessageKeys): Eventually<MessageKey | null> {
    if (this.target instanceof Error) throw this.target;
    if (this.target.form === 'qualified') {
      // A router may send any channel id. With a colon, the key of the message would be that of another one.
      if (this.target.channelId.includes(':')) throw unknownChannel(this.target.channelId);
      return this.target;
    }
    return keys.load(this.target.providerMessageId).then((matches) => {
      if (matches.length > 1) throw notFound(`one that ${matches.length} of them know; name the channel`);
      return matches[0] ?? null;
    });
  }

  /** @throws MediagraphError as `locate`, and MESSAGE_NOT_FOUND in place of null */
  mustLocate(keys: MessageKeys): Eventually<MessageKey> {
    // The parts of a pair are answered as they came, whatever they are.
    if (!(this.target instanceof Error) && this.target.form === 'qualified') return this.target;
    const located = this.locate(keys);
    return located instanceof Promise ? located.then(requireKey) : requireKey(located);
  }
}

function requireKey(key: MessageKey | null): MessageKey {
  if (!key) throw notFound('one that none of them knows');
  return key;
}

function notFound(received: string): MediagraphError {
  return new MediagraphError('MESSAGE_NOT_FOUND', `expected the id of a message of your channels, got ${received}`);
}
