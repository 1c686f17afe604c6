import { readFile } from 'node:fs/promises';

/** One fenced block of a Markdown file. */
export interface Fence {
  /** The path of the file, relative to the repository. */
  readonly page: string;
  /** The number of the fence's first line, from 1. */
  readonly line: number;
  /** The first word after the fence; '' for none. */
  readonly language: string;
  /** The words after it, which say how the example is run. */
  readonly words: readonly string[];
  readonly text: string;
  /** What the block right after it says that it prints; null = nothing is said. */
  readonly output: string | null;
}

const OUTPUT = 'output';
const ROOT = new URL('../../', import.meta.url);

/** All fenced blocks of a page, in order; outputs are with their examples. */
export async function fencesOf(page: string): Promise<Fence[]> {
  const fences: Fence[] = [];
  const lines = (await readFile(new URL(page, ROOT), 'utf8')).split(/\r?\n/);
  for (let at = 0; at < lines.length; at += 1) {
    const info = /^```(.*)$/.exec(lines[at] ?? '')?.[1];
    if (info === undefined) continue;
    const end = lines.indexOf('```', at + 1);
    if (end < 0) throw new Error(`expected the fence at ${page}:${at + 1} to end`);
    const [language = '', ...words] = info.trim().split(/\s+/);
    const text = lines.slice(at + 1, end).join('\n');
    if (words[0] === OUTPUT) {
      const example = fences.pop();
      if (!example) throw new Error(`expected an example before the output at ${page}:${at + 1}`);
      fences.push({ ...example, output: text });
    } else {
      fences.push({ page, line: at + 1, language, words, text, output: null });
    }
    at = end;
  }
  return fences;
}

export function placeOf({ page, line, language, words }: Fence): string {
  return `${page}:${line} ${[language, ...words].join(' ')}`.trim();
}

/** Whether a program printed what a page says that it prints; `…` stands for any text. */
export function prints(printed: string, said: string): boolean {
  const parts = said
    .trim()
    .split('…')
    .map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return new RegExp(`^${parts.join('[\\s\\S]*?')}$`).test(printed.trim());
}
