import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { z } from 'zod';
import type { ShopLine } from './shop-line.js';
import type { DemoClient } from './tour/client.js';

/** How often she looks at her telephone. */
const LOOK_EVERY_MS = 500;
/** What she understands. */
const ASKED = /photo|picture/i;

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
  /** The subgraph of messages. */
  readonly messagesUrl: string;
  readonly client: DemoClient;
  /** Where her messages are told of. */
  readonly webhookUrl: string;
}

/** The customer of the inbox's line: asked for a photo, she takes one. */
export class Customer {
  readonly #leaving = new AbortController();
  readonly #answered = new Set<string>();
  #reading: Promise<void> = Promise.resolve();

  constructor(private readonly options: CustomerOptions) {}

  start(): void {
    this.#reading = this.#read();
  }

  async leave(): Promise<void> {
    this.#leaving.abort();
    await this.#reading;
  }

  async #read(): Promise<void> {
    const { signal } = this.#leaving;
    while (!signal.aborted) {
      // Whatever keeps her from reading or answering, she looks again.
      await this.#look().catch(() => {});
      await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => {});
    }
  }

  async #look(): Promise<void> {
    const { shop } = this.options;
    const { data } = latestMessages.parse(await this.#ask(LATEST, { id: shop.channel.id }));
    for (const { id, direction, text } of data.conversation.messages) {
      if (direction !== 'OUTBOUND' || this.#answered.has(id) || !ASKED.test(text ?? '')) continue;
      this.#answered.add(id);
      await this.#sendPhoto();
    }
  }

  /** Meta tells both: whoever keeps the media, and whoever keeps the messages. */
  async #sendPhoto(): Promise<void> {
    const { shop, client, webhookUrl } = this.options;
    const { providerMessageId, make } = await shop.takePhoto();
    await client.deliver(webhookUrl, make());
    await this.#ask(ADD, { input: { conversationId: shop.channel.id, direction: 'INBOUND', providerMessageId } });
  }

  async #ask(query: string, variables: Readonly<Record<string, unknown>>): Promise<unknown> {
    const { body } = await request(this.options.messagesUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query, variables }),
      signal: this.#leaving.signal,
    });
    return body.json();
  }
}
