// @ts-check
/*
 * The subgraph that owns Message: conversations from a file, and what is added to them, in memory.
 *
 *   node schema/supergraph/messages/server.js --ids transparent|bare|owned --port 4001 --data FILE.json
 *
 * The file: { "conversations": [ { "id", "channelId", "contact": { "name", "phone" }, "messages": [ {
 * "providerMessageId", "direction": "INBOUND" | "OUTBOUND", "sentAt": "<ISO 8601>", "text": string or null } ] } ] }
 */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { badUserInput, portFrom, run, serveSubgraph } from '../serve-subgraph.js';
import { conversationsGiven, MessageStore } from './message-store.js';

/** @typedef {import('./message-store.js').AddMessageInput} AddMessageInput */
/** @typedef {import('./message-store.js').Conversation} Conversation */
/** @typedef {import('./message-store.js').MessageKey} MessageKey */

const messageIds = z.enum(['transparent', 'bare', 'owned']);

await run(async () => {
  const { values } = parseArgs({
    options: {
      ids: { type: 'string', default: 'transparent' },
      port: { type: 'string', default: '4001' },
      data: { type: 'string' },
    },
  });
  if (values.data === undefined) throw new Error('expected --data with a file of conversations');
  const ids = messageIds.safeParse(values.ids);
  if (!ids.success) throw new Error(`expected --ids transparent, bare or owned, got "${values.ids}"`);
  const store = new MessageStore(await readConversations(values.data), ids.data);
  await serveSubgraph({
    name: 'messages',
    sdl: new URL(`${ids.data}.graphql`, import.meta.url),
    resolvers: resolversOver(store),
    port: portFrom(values.port),
  });
});

/** @type {(file: string) => Promise<import('./message-store.js').ConversationsGiven>} */
async function readConversations(file) {
  const given = conversationsGiven.safeParse(parseJson(await readFile(file, 'utf8'), file));
  if (!given.success) throw new Error(`expected conversations in ${file}:\n${z.prettifyError(given.error)}`);
  return given.data;
}

/** @type {(text: string, file: string) => unknown} */
function parseJson(text, file) {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`expected JSON in ${file}`, { cause });
  }
}

/** @param {MessageStore} store */
function resolversOver(store) {
  return {
    Query: {
      conversations: () => store.conversations(),
      /** @type {(source: unknown, args: { id: string }) => unknown} */
      conversation: (_source, { id }) => store.conversation(id),
      /** @type {(source: unknown, args: { id: string }) => unknown} */
      message: (_source, { id }) => store.message(id),
    },
    Mutation: {
      /** @type {(source: unknown, args: { input: AddMessageInput }) => unknown} */
      addMessage: (_source, { input }) => store.add(input),
    },
    Conversation: {
      /** @type {(reference: { id: string }) => unknown} */
      __resolveReference: ({ id }) => store.conversation(id),
      /** @type {(conversation: Conversation, args: { last: number | null }) => unknown} */
      messages: ({ messages }, { last }) => {
        if (last === null) return messages;
        if (last < 0) throw badUserInput(`expected last to be 0 or more, got ${last}`);
        return messages.slice(Math.max(0, messages.length - last));
      },
    },
    Message: {
      // A router sends the key that the other subgraph has: the pair only where the ids are owned.
      /** @type {(reference: { id: string } | MessageKey) => unknown} */
      __resolveReference: (reference) => ('id' in reference ? store.message(reference.id) : store.messageOf(reference)),
    },
  };
}
