import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { z } from 'zod';
import type { ShopLine } from './shop-line.js';
import type { DemoClient } from './tour/client.js';

/** How often the customer reads the conversation. */
const POLL_EVERY_MS = 500;
/** The words that ask for a photo. */
const PHOTO_REQUEST = /photo|picture/i;

const latestMessages = z.object({
  data: z.object({
    conversation: z.object({
      messages: z.array(z.object({ id: z.string(), direction: z.string(), text: z.string().nullable() })),
    }),
  }),
});

const LATEST = 'query($id: ID!) { conversation(id: $id) { messages(last: 5) { id direction text } } }';
const ADD = 'mutation($input: AddMessageInput!) { addMessage(input: $input) { id } }';

export interface CustomerOptions {
  readonly shop: ShopLine;
  /** The messages subgraph. */
  readonly messagesUrl: string;
  readonly client: DemoClient;
  /** The server's webhook for the line. */
  readonly webhookUrl: string;
}

/** The customer of the inbox's line, who sends a photo whenever a message asks for one. */
export class Customer {
  readonly #leaving = new AbortController();
  readonly #answered = new Set<string>();
  #polling: Promise<void> = Promise.resolve();

  constructor(private readonly options: CustomerOptions) {}

  start(): void {
    this.#polling = this.#poll();
  }

  async leave(): Promise<void> {
    this.#leaving.abort();
    await this.#polling;
  }

  async #poll(): Promise<void> {
    const { signal } = this.#leaving;
    while (!signal.aborted) {
      // A failed request is made again at the next poll.
      await this.#answerRequests().catch(() => {});
      await sleep(POLL_EVERY_MS, undefined, { signal }).catch(() => {});
    }
  }

  async #answerRequests(): Promise<void> {
    const { shop } = this.options;
    const { data } = latestMessages.parse(await this.#query(LATEST, { id: shop.channel.id }));
    for (const { id, direction, text } of data.conversation.messages) {
      if (direction !== 'OUTBOUND' || this.#answered.has(id) || !PHOTO_REQUEST.test(text ?? '')) continue;
      this.#answered.add(id);
      await this.#sendPhoto();
    }
  }

  /** Announces the photo to the media server and to the messages subgraph, as Meta's webhook would reach both. */
  async #sendPhoto(): Promise<void> {
    const { shop, client, webhookUrl } = this.options;
    const { providerMessageId, make } = await shop.takePhoto();
    await client.deliver(webhookUrl, make());
    await this.#query(ADD, { input: { conversationId: shop.channel.id, direction: 'INBOUND', providerMessageId } });
  }

  async #query(query: string, variables: Readonly<Record<string, unknown>>): Promise<unknown> {
    const { body } = await request(this.options.messagesUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query, variables }),
      signal: this.#leaving.signal,
    });
    return body.json();
  }
}
