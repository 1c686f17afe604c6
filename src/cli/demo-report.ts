import { styleText } from 'node:util';
import type { GraphQLFault, OpenedLink } from './demo-client.js';
import type { MessagesWithMediaQuery } from './operations.generated.js';

type Message = NonNullable<MessagesWithMediaQuery['messagesWithMedia'][number]>;
type Media = NonNullable<Message['media']>[number];

export interface DemoResult {
  readonly messages: ReadonlyArray<Message | null>;
  readonly faults: readonly GraphQLFault[];
  /** By URL; null = no answer. */
  readonly opened: ReadonlyMap<string, OpenedLink | null>;
}

export interface ReportOptions {
  /** By channel id, for messages whose media does not tell. */
  readonly providers: ReadonlyMap<string, string>;
  readonly colours: boolean;
}

/** A media, or what there is to say in its place; below it whole lines of their own. */
interface Row {
  readonly cells: readonly string[];
  readonly below: readonly string[];
  readonly style?: Style;
}

type Style = Parameters<typeof styleText>[0];
type Paint = (style: Style, text: string) => string;

const INTRODUCTION =
  'Messages at Kirim, SignalWire and Twilio, which emulators on this machine play. One line of Kirim is down.';
const COLUMNS = ['CHANNEL', 'PROVIDER', 'KIND', 'TYPE', 'SIZE', 'NAME', 'STATUS'];

/** The answer as a table: one row a media, below it its URL, whole, and what came when it was opened. */
export function formatResult(result: DemoResult, { providers, colours }: ReportOptions): string {
  const paint: Paint = colours ? styleText : (_style, text) => text;
  const rows = result.messages.flatMap((message, index) => rowsOf(message, { index, result, providers, paint }));
  const widths = COLUMNS.map((title, column) =>
    Math.max(title.length, ...rows.map(({ cells }) => widthOf(cells, column))),
  );
  const lines = rows.flatMap(({ cells, below, style }) => {
    const line = formatLine(cells, widths);
    return [style ? paint(style, line) : line, ...below, ''];
  });
  return `${[INTRODUCTION, '', paint('bold', formatLine(COLUMNS, widths)), ...lines, summaryOf(result)].join('\n')}\n`;
}

export interface WhatNext {
  /** The server's. */
  readonly url: string;
  /** The message that the command for the shell asks for. */
  readonly messageId: string;
}

/** Where to go from here: the explorer, operations to paste into it, a command for the shell. */
export function formatWhatNext({ url, messageId }: WhatNext): string {
  const endpoint = `${url}/graphql`;
  const query = `{ messagesWithMedia(ids: [${JSON.stringify(messageId)}]) { id media { kind mimeType sizeBytes url } } }`;
  return `
Explore it in a browser (GraphiQL, which works offline):
${endpoint}
and paste the operations of schema/operations/ there: they ask for these messages.

Ask from a shell:
curl -s ${endpoint} -H 'content-type: application/json' -d ${quoteForShell(JSON.stringify({ query }))}

Ctrl-C ends it.
`;
}

interface RowContext {
  readonly index: number;
  readonly result: DemoResult;
  readonly providers: ReadonlyMap<string, string>;
  readonly paint: Paint;
}

function rowsOf(message: Message | null, { index, result, providers, paint }: RowContext): Row[] {
  const channelId = message?.channelId ?? '-';
  const line = [channelId, providers.get(channelId)?.toUpperCase() ?? '-'];
  const media = message?.media?.map((one) => ({
    cells: [...line, ...mediaCells(one)],
    below: one.url === null ? [] : [paint('cyan', one.url), openedLine(result.opened.get(one.url) ?? null, paint)],
  }));
  const faults = faultsOf(result, index).map(
    (fault): Row => ({
      cells: [...line, `error ${fault.extensions?.code} at ${fault.path?.join('.')}`],
      below: [fault.message],
      style: 'red',
    }),
  );
  const rows = [...(media ?? []), ...faults];
  return rows.length > 0 ? rows : [{ cells: [...line, 'no media'], below: [] }];
}

function mediaCells({ kind, mimeType, sizeBytes, filename, status }: Media): string[] {
  return [kind, mimeType ?? '-', sizeBytes === null ? '-' : formatSize(sizeBytes), filename ?? '-', status];
}

function openedLine(opened: OpenedLink | null, paint: Paint): string {
  if (!opened) return paint('red', 'opened: no answer');
  const { status, contentType, sizeBytes } = opened;
  return paint(status === 200 ? 'green' : 'red', `opened: ${status} ${contentType ?? '-'} ${formatSize(sizeBytes)}`);
}

function faultsOf({ faults }: DemoResult, index: number): GraphQLFault[] {
  return faults.filter(({ path }) => path?.[0] === 'messagesWithMedia' && path[1] === index);
}

function summaryOf(result: DemoResult): string {
  const { messages, opened } = result;
  const open = [...opened.values()].filter((link) => link?.status === 200).length;
  const failed = messages.filter((_, index) => faultsOf(result, index).length > 0).length;
  return `One query for ${messages.length} messages: ${open} of ${opened.size} links open; ${failed} failed, and spoiled no other.`;
}

function formatLine(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, column) => cell.padEnd(widths[column] ?? 0))
    .join('  ')
    .trimEnd();
}

// Private: a text in the place of a media runs on to the right and widens no column.
function widthOf(cells: readonly string[], column: number): number {
  return column < 2 || cells.length === COLUMNS.length ? (cells[column]?.length ?? 0) : 0;
}

/** Decimal, as providers state their limits: `23.9 kB`. */
function formatSize(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function quoteForShell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
