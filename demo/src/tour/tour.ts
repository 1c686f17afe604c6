import { setTimeout as sleep } from 'node:timers/promises';
import type { DemoServer } from '../host.js';
import { type DemoInbox, reasonAgainst } from '../inbox/inbox.js';
import type { DemoLine } from '../line.js';
import { messageIdOf } from '../message-id.js';
import { DeleteMediaDocument, MessagesWithMediaDocument, UploadMediaFromUrlDocument } from '../operations.generated.js';
import { type DemoProviders, messageIdsOf } from '../providers.js';
import { DemoClient } from './client.js';
import {
  type AnnouncedLine,
  type DemoLifetime,
  type DemoResult,
  type ExpiredCopy,
  formatExpired,
  formatHeading,
  formatInbox,
  formatLifetime,
  formatReopened,
  formatResult,
  formatWhatNext,
  type InboxNews,
  linksOf,
  type OpenedLinks,
  WebhookReport,
} from './report.js';
import type { Paint } from './table.js';

export interface Tour {
  readonly app: DemoServer;
  readonly providers: DemoProviders;
  /** Resolves to the reason where the inbox could not be started. */
  readonly inbox: Promise<DemoInbox | { readonly reason: unknown }>;
  readonly print: (text: string) => void;
  readonly paint: Paint;
}

/** Copies of some kilobytes take milliseconds, but longer on a busy machine. */
const COPIED_WITHIN_MS = 20_000;
const POLL_EVERY_MS = 25;

/**
 * Shows what happens to media, in order: announced, queried, expired at the provider, still delivered; uploaded,
 * deleted.
 */
export async function showTour({ app, providers, inbox, print, paint }: Tour): Promise<void> {
  const { lines } = providers;
  const client = new DemoClient(app.url);
  const ids = lines.flatMap(messageIdsOf);
  try {
    print(formatHeading('1. Customers write', WEBHOOKS, paint));
    const announced = lines.filter(isAnnounced);
    await sendWebhooks(client, announced, { url: app.url, print, paint });

    print(formatHeading('2. One GraphQL query', QUERY, paint));
    const announcedIds = new Set(announced.map(announcedId));
    const deadline = performance.now() + COPIED_WITHIN_MS;
    // The announced messages come first, so that the line that is down is not queried again and again.
    await queryUntilCopied(client, [...announcedIds], announcedIds, deadline);
    const result = await queryUntilCopied(client, ids, announcedIds, deadline);
    // Listings are recorded after their response, and media without a row is not stored when it is opened.
    await app.settled();
    const urls = linksOf(result, lines).map(({ url }) => url);
    print(formatResult(result, await openAll(client, urls), { lines, paint }));

    print(formatHeading('3. The providers forget', EXPIRY, paint));
    // The bytes that were opened last may still be on their way into the store.
    await app.settled();
    print(formatExpired(await expireCopies(client, lines), paint));

    print(formatHeading('4. The same links again', REOPENING, paint));
    const before = providers.requestCount();
    const opened = await openAll(client, urls);
    const providerRequests = providers.requestCount() - before;
    print(formatReopened({ result, opened, providerRequests }, { lines, paint }));

    print(formatHeading('5. Up and away', MUTATIONS, paint));
    print(formatLifetime(await uploadAndDelete(client, providers.pictureUrl), paint));

    print(formatHeading('6. Your turn', 'The server goes on running.', paint));
    print(formatInbox(await openInbox(client, await inbox)));
    print(formatWhatNext({ url: app.url, messageId: ids[0] ?? '', pictureUrl: providers.pictureUrl }));
  } finally {
    await client.close();
  }
}

const WEBHOOKS = `Every provider sends a webhook to /webhooks/<channel>, in its own format, proven in its own way.
The server verifies it, records it and answers; then it copies the media.`;

const QUERY = `It asks for the media of all messages of all channels; then every link of the answer is opened.
Four messages at Kirim are older than its webhook, so Kirim is asked for them. Kirim's other line,
"sales", is down.`;

const EXPIRY = `WhatsApp's media live for some days; here their time is over now. Asked for one of them before and
after, past the server and with the right credentials, the providers answer:`;

const REOPENING = `Opened as any browser would, without credentials. What SignalWire and Twilio have was left alone.`;

const MUTATIONS = `A picture of a website is uploaded to WhatsApp's Cloud API and kept here, and then deleted at both.`;

function isAnnounced(line: DemoLine): line is AnnouncedLine {
  return line.webhook !== undefined;
}

function announcedId({ channel, webhook: { messageId } }: AnnouncedLine): string {
  return messageIdOf(channel.id, messageId);
}

/** One after the other, so that they do not slow each other down. */
async function sendWebhooks(
  client: DemoClient,
  lines: readonly AnnouncedLine[],
  { url, print, paint }: Pick<Tour, 'print' | 'paint'> & { readonly url: string },
): Promise<void> {
  const report = new WebhookReport(lines, paint);
  print(report.head());
  for (const line of lines) {
    const { channel, webhook } = line;
    const webhookUrl = `${url}/webhooks/${channel.id}${webhook.query ?? ''}`;
    const receipt = await client.deliver(webhookUrl, webhook.make(webhookUrl)).catch(() => null);
    print(report.row(line, receipt));
  }
}

/**
 * Repeats the query until the announced media is copied, or until the deadline. Webhooks are processed after their
 * response.
 */
async function queryUntilCopied(
  client: DemoClient,
  ids: readonly string[],
  announced: ReadonlySet<string>,
  deadline: number,
): Promise<DemoResult> {
  for (;;) {
    const { data, errors: faults = [] } = await client.query(MessagesWithMediaDocument, { ids });
    const result = { messages: data?.messagesWithMedia ?? [], faults };
    if (isCopied(result, announced) || performance.now() > deadline) return result;
    await sleep(POLL_EVERY_MS);
  }
}

function isCopied({ messages }: DemoResult, announced: ReadonlySet<string>): boolean {
  return messages.every((message) => {
    if (!message?.media) return true;
    const { id, media } = message;
    return media.every(({ status }) => status !== 'PENDING') && (media.length > 0 || !announced.has(id));
  });
}

async function openAll(client: DemoClient, urls: readonly string[]): Promise<OpenedLinks> {
  return new Map(await Promise.all(urls.map(async (url) => [url, await client.open(url).catch(() => null)] as const)));
}

/** Sends the messages of the inbox's customer, and waits until their media is copied. */
async function openInbox(client: DemoClient, inbox: Awaited<Tour['inbox']>): Promise<InboxNews> {
  if ('reason' in inbox) return { url: null, reason: reasonAgainst(inbox.reason) };
  const ids = await inbox.open();
  await queryUntilCopied(client, ids, new Set(ids), performance.now() + COPIED_WITHIN_MS);
  return inbox;
}

/** Uploads a picture, opens its link, deletes it, and opens the link again. */
async function uploadAndDelete(client: DemoClient, pictureUrl: string): Promise<DemoLifetime> {
  const uploading = await client.query(UploadMediaFromUrlDocument, { url: pictureUrl });
  const uploaded = uploading.data?.uploadMediaFromUrl.media ?? null;
  if (!uploaded?.url) return { pictureUrl, uploaded: null, faults: uploading.errors ?? [] };
  const before = await client.open(uploaded.url);
  const deleting = await client.query(DeleteMediaDocument, { id: uploaded.id });
  const scope = deleting.data?.deleteMedia.scope ?? null;
  const after = await client.open(uploaded.url);
  return { pictureUrl, uploaded, before, scope, after, faults: deleting.errors ?? [] };
}

/** Expires the media of every provider that deletes them, and requests one of each before and after. */
async function expireCopies(client: DemoClient, lines: readonly DemoLine[]): Promise<ExpiredCopy[]> {
  const expired: ExpiredCopy[] = [];
  for (const line of lines) {
    const { expiry } = line;
    if (!expiry) continue;
    const before = await client.requestProvider(expiry.request);
    expiry.run();
    expired.push({ line, before, after: await client.requestProvider(expiry.request) });
  }
  return expired;
}
