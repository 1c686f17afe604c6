/** The first lines of every page that is written by docs/generate.ts. */
export const GENERATED = '<!-- Written by `npm run docs` from the code; changes by hand are overwritten. -->';

/** A table; cells may hold Markdown, and a bar in one does not end it. */
export function table(head: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** A link to a heading of the same page, as GitHub names headings. */
export function linkTo(heading: string): string {
  const anchor = heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
  return `[${heading}](#${anchor})`;
}

/** Paragraphs, tables and headings as one file. */
export function page(parts: readonly string[]): string {
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}
