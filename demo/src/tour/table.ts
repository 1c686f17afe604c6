import { styleText } from 'node:util';
import type { DemoChannel } from '../line.js';

export type Style = Parameters<typeof styleText>[0];
export type Paint = (style: Style, text: string) => string;

/** Colours for a terminal, plain text for files and pipes. */
export function paintFor(colours: boolean): Paint {
  return colours ? styleText : (_style, text) => text;
}

/**
 * The widest cell of each column, in characters. The last cell of a short row may be long, so it widens only the first
 * two columns.
 */
export function widthsOf(titles: readonly string[], rows: ReadonlyArray<readonly string[]>): number[] {
  return titles.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => widthOf(row, column, titles.length))),
  );
}

/** One line, without trailing spaces. */
export function formatLine(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, column) => cell.padEnd(widths[column] ?? 0))
    .join('  ')
    .trimEnd();
}

/** Titles and rows; every row ends in a line feed. */
export function formatTable(titles: readonly string[], rows: ReadonlyArray<readonly string[]>, paint: Paint): string {
  const widths = widthsOf(titles, rows);
  const lines = rows.map((row) => formatLine(row, widths));
  return [paint('bold', formatLine(titles, widths)), ...lines].map((line) => `${line}\n`).join('');
}

/** The first two cells of every row: the channel, and its provider as GraphQL spells it. */
export function channelCells({ id, provider }: Pick<DemoChannel, 'id' | 'provider'>): [string, string] {
  return [id, provider.replaceAll('-', '_').toUpperCase()];
}

/** Decimal, as providers state their limits: `23.9 kB`. */
export function formatSize(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

function widthOf(cells: readonly string[], column: number, columns: number): number {
  return column < 2 || cells.length === columns ? (cells[column]?.length ?? 0) : 0;
}
