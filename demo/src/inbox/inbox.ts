import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { conversationsFile, talkOn } from '../conversations.js';
import { Customer } from '../customer.js';
import type { DemoLine } from '../line.js';
import { messageIdOf } from '../message-id.js';
import type { ShopLine } from '../shop-line.js';
import { DemoClient } from '../tour/client.js';
import { startGateway } from './gateway.js';
import { InboxServer, readBuiltFiles } from './inbox-server.js';
import { Neighbour } from './neighbour.js';

/** The package's own folder: three levels above this file in `src/` as well as in `dist/`. */
const BUILT_INBOX = new URL('../../../examples/inbox/dist/', import.meta.url);

export interface DemoInboxOptions {
  /** The media subgraph's. */
  readonly appUrl: string;
  readonly shop: ShopLine;
  /** The tour's. */
  readonly lines: readonly DemoLine[];
  /** For files. */
  readonly folder: string;
}

/** `examples/inbox` over a supergraph: this server, its neighbours, a gateway, and a customer who writes. */
export interface DemoInbox {
  /** What a browser opens. */
  readonly url: string;
  /** Lets the customer begin. @returns the ids of the messages whose media are on their way */
  open(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** Starts all of it, or none and rejects. */
export async function startInbox(options: DemoInboxOptions): Promise<DemoInbox> {
  const closing: Array<() => Promise<void>> = [];
  const close = async () => {
    for (const step of closing.splice(0).reverse()) await step();
  };
  try {
    return { ...(await startParts(options, closing)), close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

/** Why there is no inbox, in a few words. */
export function reasonAgainst(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : null;
  if (code === 'ENOENT') return 'it is not built; npm run demo builds it';
  if (code === 'ERR_MODULE_NOT_FOUND') return 'Hive Gateway is not installed';
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** @param closing gets what ends each part that was started, in their order */
async function startParts(
  { appUrl, shop, lines, folder }: DemoInboxOptions,
  closing: Array<() => Promise<void>>,
): Promise<Omit<DemoInbox, 'close'>> {
  // First what is most likely to be missing: nothing was started for nothing then.
  const files = await readBuiltFiles(fileURLToPath(BUILT_INBOX));
  const file = join(folder, 'conversations.json');
  const talks = lines.map((line) => [line.channel.id, talkOn(line)] as const);
  await writeFile(file, JSON.stringify(conversationsFile(new Map([[shop.channel.id, shop.conversation], ...talks]))));
  const messages = await Neighbour.start('messages', ['--ids', 'transparent', '--data', file]);
  closing.push(() => messages.close());
  const notes = await Neighbour.start('notes');
  closing.push(() => notes.close());
  const gateway = await startGateway(
    new Map([
      ['media', `${appUrl}/graphql`],
      ['messages', messages.url],
      ['notes', notes.url],
    ]),
  );
  closing.push(() => gateway.close());
  const server = await InboxServer.start({ files, mediaOrigin: appUrl, graphql: gateway.answer });
  closing.push(() => server.close());
  const client = new DemoClient(appUrl);
  closing.push(() => client.close());
  const { id: channelId } = shop.channel;
  const webhookUrl = `${appUrl}/webhooks/${channelId}`;
  const customer = new Customer({ shop, messagesUrl: messages.url, client, webhookUrl });
  return {
    url: server.url,
    open: async () => {
      for (const { make } of shop.sent) await client.deliver(webhookUrl, make());
      customer.start();
      closing.push(() => customer.leave());
      return shop.sent.map(({ providerMessageId }) => messageIdOf(channelId, providerMessageId));
    },
  };
}
