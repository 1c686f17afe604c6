import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { conversationOn, conversationsFile } from '../conversations.js';
import { Customer } from '../customer.js';
import type { DemoLine } from '../line.js';
import { messageIdOf } from '../message-id.js';
import type { ShopLine } from '../shop-line.js';
import { DemoClient } from '../tour/client.js';
import { startGateway } from './gateway.js';
import { InboxServer, readBuiltFiles } from './inbox-server.js';
import { SubgraphProcess } from './subgraph-process.js';

/** The package's own folder: three levels above this file in `src/` as well as in `dist/`. */
const BUILT_INBOX = new URL('../../../examples/inbox/dist/', import.meta.url);

export interface DemoInboxOptions {
  /** The URL of the media subgraph. */
  readonly appUrl: string;
  readonly shop: ShopLine;
  /** The tour's lines. */
  readonly lines: readonly DemoLine[];
  /** A folder for temporary files. */
  readonly folder: string;
}

/** `examples/inbox` over a supergraph: this server, two other subgraphs, a gateway, and a customer. */
export interface DemoInbox {
  /** The page's URL. */
  readonly url: string;
  /** Sends the customer's first messages. @returns their ids */
  open(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** Starts all parts. If one of them fails, it closes the others and rejects. */
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

/** Why the inbox could not be started, in a few words. */
export function reasonAgainst(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : null;
  if (code === 'ENOENT') return 'it is not built; npm run demo builds it';
  if (code === 'ERR_MODULE_NOT_FOUND') return 'Hive Gateway is not installed';
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** @param closing receives a function for each started part, in order, which closes it */
async function startParts(
  { appUrl, shop, lines, folder }: DemoInboxOptions,
  closing: Array<() => Promise<void>>,
): Promise<Omit<DemoInbox, 'close'>> {
  // The build is most likely to be missing, so it is read before anything is started.
  const files = await readBuiltFiles(fileURLToPath(BUILT_INBOX));
  const file = join(folder, 'conversations.json');
  const tour = lines.map((line) => [line.channel.id, conversationOn(line)] as const);
  await writeFile(file, JSON.stringify(conversationsFile(new Map([[shop.channel.id, shop.conversation], ...tour]))));
  const messages = await SubgraphProcess.start('messages', ['--ids', 'transparent', '--data', file]);
  closing.push(() => messages.close());
  const notes = await SubgraphProcess.start('notes');
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
