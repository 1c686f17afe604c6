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
    print(formatHeading('1. Webhooks announce media', WEBHOOKS, paint));
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

    print(formatHeading('3. The providers delete their copies', EXPIRY, paint));
    // The bytes that were opened last may still be on their way into the store.
    await app.settled();
    print(formatExpired(await expireCopies(client, lines), paint));

    print(formatHeading('4. The same links still open', REOPENING, paint));
    const before = providers.requestCount();
    const opened = await openAll(client, urls);
    const providerRequests = providers.requestCount() - before;
    print(formatReopened({ result, opened, providerRequests }, { lines, paint }));

    print(formatHeading('5. Upload and deletion', MUTATIONS, paint));
    print(formatLifetime(await uploadAndDelete(client, providers.pictureUrl), paint));

    print(formatHeading('6. Try it yourself', 'The server keeps running.', paint));
    print(formatInbox(await openInbox(client, await inbox)));
    print(formatWhatNext({ url: app.url, messageId: ids[0] ?? '', pictureUrl: providers.pictureUrl }));
  } finally {
    await client.close();
  }
}

const WEBHOOKS = `Each provider sends a webhook to /webhooks/<channel>, in its own format and with its own
signature or secret. The server verifies the webhook, stores it, responds, and copies the media.`;

const QUERY = `The query requests the media of all messages of all channels. Then the demo opens every link of the
response. Four messages at Kirim have no webhook, so the server asks Kirim for their media. The
second Kirim channel, "sales", is down.`;

const EXPIRY = `WhatsApp providers keep media for some days only; the emulators delete it now. The demo requests one
media of each provider before and after, directly and with valid credentials. The responses:`;

const REOPENING = `The demo opens the links without credentials, as a browser does. SignalWire and Twilio keep their
copies.`;

const MUTATIONS = `The server uploads a picture from a website to WhatsApp's Cloud API and keeps a copy.
Then it deletes both.`;

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
