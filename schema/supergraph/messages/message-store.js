// @ts-check
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { badUserInput } from '../serve-subgraph.js';

const messageGiven = z.strictObject({
  providerMessageId: z.string().min(1),
  direction: z.enum(['INBOUND', 'OUTBOUND']),
  sentAt: z.iso.datetime({ offset: true }),
  text: z.string().nullable(),
});

/** The data file. */
export const conversationsGiven = z.strictObject({
  conversations: z.array(
    z.strictObject({
      id: z.string().min(1),
      channelId: z.string().min(1),
      contact: z.strictObject({ name: z.string(), phone: z.string().nullable() }),
      messages: z.array(messageGiven),
    }),
  ),
});

/** @typedef {z.infer<typeof messageGiven>} MessageGiven */
/** @typedef {z.infer<typeof conversationsGiven>} ConversationsGiven */
/** @typedef {'transparent' | 'bare' | 'owned'} MessageIds what `Message.id` is: the forms that media subgraphs know as `federation.messageIds` */
/** @typedef {{ channelId: string, providerMessageId: string }} MessageKey */
/** @typedef {MessageGiven & { id: string, channelId: string, conversation: Conversation }} Message */
/** @typedef {{ id: string, channelId: string, contact: { name: string, phone: string | null }, messages: Message[] }} Conversation */
/** @typedef {{ conversationId: string, direction: MessageGiven['direction'], text?: string | null, providerMessageId?: string | null }} AddMessageInput */

/** Conversations and their messages, in memory. */
export class MessageStore {
  /** @type {Map<string, Conversation>} */
  #conversations = new Map();
  /** @type {Map<string, Message>} */
  #byId = new Map();
  /** @type {Map<string, Message>} by both parts of the key, as text */
  #byKey = new Map();
  #messageIds;

  /**
   * @param {ConversationsGiven} given
   * @param {MessageIds} messageIds
   * @throws {Error} for a conversation or a message that is given twice
   */
  constructor({ conversations }, messageIds) {
    this.#messageIds = messageIds;
    for (const { messages, ...facts } of conversations) {
      if (this.#conversations.has(facts.id)) throw badUserInput(`expected one conversation "${facts.id}", got two`);
      /** @type {Conversation} */
      const conversation = { ...facts, messages: [] };
      this.#conversations.set(conversation.id, conversation);
      for (const message of messages) this.#add(conversation, message);
      conversation.messages.sort((a, b) => Date.parse(a.sentAt) - Date.parse(b.sentAt));
    }
  }

  /** Newest first. */
  conversations() {
    return [...this.#conversations.values()].sort((a, b) => latest(b) - latest(a));
  }

  /** @param {string} id */
  conversation(id) {
    return this.#conversations.get(id) ?? null;
  }

  /** @param {string} id */
  message(id) {
    return this.#byId.get(id) ?? null;
  }

  /** @param {MessageKey} key */
  messageOf(key) {
    return this.#byKey.get(keyText(key)) ?? null;
  }

  /**
   * @param {AddMessageInput} input
   * @throws {Error} BAD_USER_INPUT for an unknown conversation, or a message that is there already
   */
  add({ conversationId, direction, text, providerMessageId }) {
    const conversation = this.#conversations.get(conversationId);
    if (!conversation) throw badUserInput(`expected the id of a conversation, got "${conversationId}"`);
    const sentAt = new Date().toISOString();
    return this.#add(conversation, {
      providerMessageId: providerMessageId ?? randomUUID(),
      direction,
      sentAt,
      text: text ?? null,
    });
  }

  /** @type {(conversation: Conversation, given: MessageGiven) => Message} */
  #add(conversation, given) {
    const { channelId } = conversation;
    const key = { channelId, providerMessageId: given.providerMessageId };
    const id = this.#idOf(key);
    const message = { ...given, sentAt: new Date(given.sentAt).toISOString(), id, channelId, conversation };
    if (this.#byId.has(id) || this.#byKey.has(keyText(key)))
      throw badUserInput(`expected one message "${given.providerMessageId}" of channel "${channelId}", got two`);
    this.#byId.set(id, message);
    this.#byKey.set(keyText(key), message);
    conversation.messages.push(message);
    return message;
  }

  /** @type {(key: MessageKey) => string} */
  #idOf({ channelId, providerMessageId }) {
    switch (this.#messageIds) {
      case 'transparent':
        return `${channelId}:${providerMessageId}`;
      case 'bare':
        return providerMessageId;
      case 'owned':
        return `msg_${this.#byId.size + 1}`;
    }
  }
}

/** @type {(key: MessageKey) => string} */
function keyText({ channelId, providerMessageId }) {
  return JSON.stringify([channelId, providerMessageId]);
}

/** @type {(conversation: Conversation) => number} milliseconds; before everything where there is no message */
function latest({ messages }) {
  return Date.parse(messages.at(-1)?.sentAt ?? '') || 0;
}
