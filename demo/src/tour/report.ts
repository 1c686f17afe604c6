import type { DemoLine, DemoWebhook } from '../line.js';
import type { MessagesWithMediaQuery, UploadMediaFromUrlMutation } from '../operations.generated.js';
import type { GraphQLFault, OpenedLink, ProviderResponse, WebhookReceipt } from './client.js';
import { channelCells, formatLine, formatSize, formatTable, type Paint, type Style, widthsOf } from './table.js';

type Message = NonNullable<MessagesWithMediaQuery['messagesWithMedia'][number]>;
export type Media = NonNullable<Message['media']>[number];

export interface DemoResult {
  readonly messages: ReadonlyArray<Message | null>;
  readonly faults: readonly GraphQLFault[];
}

/** The responses by URL. Null: there was none. */
export type OpenedLinks = ReadonlyMap<string, OpenedLink | null>;

export interface ReportOptions {
  readonly lines: readonly DemoLine[];
  readonly paint: Paint;
}

/** One media, or the text in its place. `below` holds whole lines under the row. */
interface Row {
  readonly cells: readonly string[];
  readonly below: readonly string[];
  readonly style?: Style;
}

const MEDIA_COLUMNS = ['CHANNEL', 'PROVIDER', 'KIND', 'TYPE', 'SIZE', 'NAME', 'STATUS'];
const WEBHOOK_COLUMNS = ['CHANNEL', 'PROVIDER', 'MESSAGE', 'AUTHENTICATED BY', 'RESPONSE'];
const EXPIRED_COLUMNS = ['CHANNEL', 'PROVIDER', 'BEFORE', 'AFTER', 'ERROR MESSAGE'];
const REOPENED_COLUMNS = ['CHANNEL', 'PROVIDER', 'KIND', 'PROVIDER COPY', 'LINK RESPONSE'];
/** In characters. Together with the columns before it, a row stays below 100 characters. */
const MAX_MESSAGE_LENGTH = 60;

export const INTRODUCTION = `This demo starts emulators of seven providers and one server that connects to them. It needs
no account and no Internet, and keeps its database in memory. Starting …
`;

/** @param startMs milliseconds that the start took */
export function formatReady(url: string, startMs: number): string {
  return `The server listens at ${url} after ${(startMs / 1000).toFixed(1)} s.\n`;
}

export function formatHeading(heading: string, explanation: string, paint: Paint): string {
  return `\n${paint(['bold', 'cyan'], heading)}\n${explanation}\n\n`;
}

/** A line whose provider sends a webhook. */
export type AnnouncedLine = DemoLine & { readonly webhook: DemoWebhook };

/** The table of the webhooks, printed row by row, since each row appears with its response. */
export class WebhookReport {
  readonly #widths: readonly number[];

  constructor(
    lines: readonly AnnouncedLine[],
    private readonly paint: Paint,
  ) {
    this.#widths = widthsOf(
      WEBHOOK_COLUMNS,
      lines.map((line) => [...webhookCells(line), '']),
    );
  }

  head(): string {
    return `${this.paint('bold', formatLine(WEBHOOK_COLUMNS, this.#widths))}\n`;
  }

  row(line: AnnouncedLine, receipt: WebhookReceipt | null): string {
    const isTaken = receipt !== null && receipt.status >= 200 && receipt.status < 300;
    const answer = receipt ? `${receipt.status} in ${Math.ceil(receipt.tookMs)} ms` : 'no response';
    const cells = [...webhookCells(line), this.paint(isTaken ? 'green' : 'red', answer)];
    return `${formatLine(cells, this.#widths)}\n`;
  }
}

function webhookCells({ channel, webhook }: AnnouncedLine): string[] {
  return [...channelCells(channel), webhook.sent, webhook.provenBy];
}

/** The result as a table: one row for each media, and below it the URL and the response to opening it. */
export function formatResult(result: DemoResult, opened: OpenedLinks, { lines, paint }: ReportOptions): string {
  const rows = result.messages.flatMap((message, index) => rowsOf(message, { index, result, opened, lines, paint }));
  const widths = widthsOf(
    MEDIA_COLUMNS,
    rows.map(({ cells }) => cells),
  );
  const printed = rows.flatMap(({ cells, below, style }) => {
    const line = formatLine(cells, widths);
    return [style ? paint(style, line) : line, ...below, ''];
  });
  const head = paint('bold', formatLine(MEDIA_COLUMNS, widths));
  return `${[head, ...printed, ...waitingLines(result), summaryOf(result, opened)].join('\n')}\n`;
}

/** A provider's responses for one media, before and after it expired. */
export interface ExpiredCopy {
  readonly line: DemoLine;
  readonly before: ProviderResponse;
  readonly after: ProviderResponse;
}

export function formatExpired(expired: readonly ExpiredCopy[], paint: Paint): string {
  const rows = expired.map(({ line, before, after }) => [
    ...channelCells(line.channel),
    String(before.status),
    String(after.status),
    errorMessageIn(after.text),
  ]);
  return formatTable(EXPIRED_COLUMNS, rows, paint);
}

/** The message of a provider's error, whatever its envelope is. */
function errorMessageIn(text: string): string {
  const [, quoted] = /"message":("(?:[^"\\]|\\.)*")/.exec(text) ?? [];
  const message = quoted === undefined ? text : String(JSON.parse(quoted));
  return message.length > MAX_MESSAGE_LENGTH ? `${message.slice(0, MAX_MESSAGE_LENGTH - 1)}…` : message;
}

export interface Reopening {
  readonly result: DemoResult;
  readonly opened: OpenedLinks;
  /** The number of requests that the server sent to providers while the links were opened. */
  readonly providerRequests: number;
}

/** The second opening of the links, one row for each. */
export function formatReopened(reopening: Reopening, { lines, paint }: ReportOptions): string {
  const { result, opened, providerRequests } = reopening;
  const links = linksOf(result, lines);
  const rows = links.map(({ line, media, url }) => [
    ...channelCells(line.channel),
    media.kind,
    line.expiry ? 'expired' : 'available',
    describeOpened(opened.get(url) ?? null, paint),
  ]);
  const open = links.filter(({ url }) => isOpen(opened.get(url)));
  const expired = open.filter(({ line }) => line.expiry).length;
  const summary = `${open.length} of ${links.length} links opened, ${expired} of them after the provider's copy expired. Requests to providers: ${providerRequests}.`;
  return `${formatTable(REOPENED_COLUMNS, rows, paint)}\n${summary}\n`;
}

/** A media from its upload to its deletion. */
export type DemoLifetime = { readonly pictureUrl: string; readonly faults: readonly GraphQLFault[] } & (
  | { readonly uploaded: null }
  | {
      readonly uploaded: UploadedMedia;
      readonly before: OpenedLink;
      readonly scope: string | null;
      readonly after: OpenedLink;
    }
);

type UploadedMedia = UploadMediaFromUrlMutation['uploadMediaFromUrl']['media'];

export function formatLifetime(lifetime: DemoLifetime, paint: Paint): string {
  const { pictureUrl, faults } = lifetime;
  const lines = [`uploaded from ${pictureUrl}`];
  if (lifetime.uploaded) {
    const { uploaded, before, scope, after } = lifetime;
    const { kind, mimeType, filename, providerMediaId } = uploaded;
    lines.push(
      `${kind} ${mimeType ?? '-'}, ${filename ?? '-'}; media id at the provider: ${providerMediaId ?? 'none'}`,
      paint('cyan', uploaded.url ?? '-'),
      `opened: ${describeOpened(before, paint)}`,
      `deleted, scope ${scope ?? '-'}`,
      // 410 is the expected status, so it is printed in green.
      `opened: ${paint(after.status === 410 ? 'green' : 'red', `${after.status} ${after.status === 410 ? 'gone' : ''}`.trimEnd())}`,
    );
  }
  for (const { extensions, message } of faults) lines.push(paint('red', `${extensions?.code}: ${message}`));
  return `${lines.join('\n')}\n`;
}

/** The inbox's URL, or why it was not started. */
export type InboxNews = { readonly url: string } | { readonly url: null; readonly reason: string };

export function formatInbox(news: InboxNews): string {
  if (news.url === null) return `The inbox of examples/inbox was not started: ${news.reason}.\n\n`;
  return `The inbox of examples/inbox, which queries a supergraph of this server and two other subgraphs:\n${news.url}\n\n`;
}

export interface WhatNext {
  /** The server's URL. */
  readonly url: string;
  /** The message that the command for the shell asks for. */
  readonly messageId: string;
  /** The URL of a picture that the reader can upload. */
  readonly pictureUrl: string;
}

/** The addresses of the explorer and of a picture to upload, and a command for the shell. */
export function formatWhatNext({ url, messageId, pictureUrl }: WhatNext): string {
  const endpoint = `${url}/graphql`;
  const query = `{ messagesWithMedia(ids: [${JSON.stringify(messageId)}]) { id media { kind mimeType sizeBytes url } } }`;
  return `Open GraphiQL in a browser. It works offline:
${endpoint}
Its tabs contain the operations of schema/operations, which query the messages above.
Use this URL to try an upload:
${pictureUrl}

Or send a query from a shell:
curl -s ${endpoint} -H 'content-type: application/json' -d ${quoteForShell(JSON.stringify({ query }))}

Press Ctrl-C to stop.
`;
}

/** Each media that has a link, with its line. */
export function linksOf(
  { messages }: DemoResult,
  lines: readonly DemoLine[],
): Array<{ readonly line: DemoLine; readonly media: Media; readonly url: string }> {
  return messages.flatMap((message) => {
    const line = lines.find(({ channel }) => channel.id === message?.channelId);
    if (!message?.media || !line) return [];
    return message.media.flatMap((media) => (media.url === null ? [] : [{ line, media, url: media.url }]));
  });
}

interface RowContext extends ReportOptions {
  readonly index: number;
  readonly result: DemoResult;
  readonly opened: OpenedLinks;
}

function rowsOf(message: Message | null, { index, result, opened, lines, paint }: RowContext): Row[] {
  const line = lines.find(({ channel }) => channel.id === message?.channelId);
  const first = line ? channelCells(line.channel) : [message?.channelId ?? '-', '-'];
  const media = message?.media?.map((item) => ({
    cells: [...first, ...mediaCells(item)],
    below:
      item.url === null
        ? []
        : [paint('cyan', item.url), `opened: ${describeOpened(opened.get(item.url) ?? null, paint)}`],
  }));
  const faults = faultsOf(result, index).map(
    (fault): Row => ({
      cells: [...first, `error ${fault.extensions?.code} at ${fault.path?.join('.')}`],
      below: [fault.message],
      style: 'red',
    }),
  );
  const rows = [...(media ?? []), ...faults];
  return rows.length > 0 ? rows : [{ cells: [...first, 'no media'], below: [] }];
}

function mediaCells({ kind, mimeType, sizeBytes, filename, status }: Media): string[] {
  return [kind, mimeType ?? '-', sizeBytes === null ? '-' : formatSize(sizeBytes), filename ?? '-', status];
}

function describeOpened(opened: OpenedLink | null, paint: Paint): string {
  if (!opened) return paint('red', 'no response');
  const { status, contentType, sizeBytes } = opened;
  return paint(isOpen(opened) ? 'green' : 'red', `${status} ${contentType ?? '-'} ${formatSize(sizeBytes)}`);
}

function isOpen(opened: OpenedLink | null | undefined): boolean {
  return opened?.status === 200;
}

function faultsOf({ faults }: DemoResult, index: number): GraphQLFault[] {
  return faults.filter(({ path }) => path?.[0] === 'messagesWithMedia' && path[1] === index);
}

function waitingLines({ messages }: DemoResult): string[] {
  const waiting = messages
    .flatMap((message) => message?.media ?? [])
    .filter(({ status }) => status === 'PENDING').length;
  return waiting === 0
    ? []
    : [`${waiting} media were not copied in time and are still PENDING. Repeat the query to see them.`];
}

function summaryOf(result: DemoResult, opened: OpenedLinks): string {
  const { messages } = result;
  const open = [...opened.values()].filter(isOpen).length;
  const failed = messages.filter((_, index) => faultsOf(result, index).length > 0).length;
  return `One query for ${messages.length} messages: ${open} of ${opened.size} links opened. ${failed} failed without affecting the others.`;
}

function quoteForShell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
