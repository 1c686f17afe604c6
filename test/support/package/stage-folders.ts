import { cp, mkdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { Stage, Step } from './dockerfile.js';

export interface StageFoldersOptions {
  readonly stages: readonly Stage[];
  /** The context of the build. */
  readonly context: string;
  /** An empty folder. */
  readonly folder: string;
  /** Performs a `RUN` of a stage. @param folder the stage's WORKDIR */
  readonly run: (stage: string, command: string, folder: string) => Promise<void>;
}

/**
 * Performs the steps of a Dockerfile that make files: COPY and WORKDIR, and RUN as the caller says. A folder stands for
 * the root of each stage; what the base image contains is not there.
 * @returns the folder of the last stage
 */
export async function performStages({ stages, context, folder, run }: StageFoldersOptions): Promise<string> {
  const rootOf = (index: number) => join(folder, String(index));
  for (const [index, { name, steps }] of stages.entries()) {
    const root = rootOf(index);
    await mkdir(root);
    let at = root;
    for (const step of steps) {
      if (step.keyword === 'WORKDIR') {
        at = join(root, step.words[0] ?? '');
        await mkdir(at, { recursive: true });
      }
      if (step.keyword === 'RUN') await run(name, step.words.join(' '), at);
      if (step.keyword !== 'COPY') continue;
      const from = step.flags.get('from');
      const source = from === undefined ? context : rootOf(stages.findIndex((stage) => stage.name === from));
      await copy(step, source, at);
    }
  }
  return rootOf(stages.length - 1);
}

/** A folder's content, or a file (Dockerfile reference, "COPY"). */
async function copy({ words }: Step, source: string, workdir: string): Promise<void> {
  const target = words.at(-1) ?? '';
  for (const word of words.slice(0, -1)) {
    const from = join(source, word);
    const isFolder = (await stat(from)).isDirectory();
    const to = isFolder || !target.endsWith('/') ? resolve(workdir, target) : resolve(workdir, target, basename(word));
    await cp(from, to, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
  }
}
