import { readFileSync } from 'node:fs';
import { Copy, DockerfileParser, From, Healthcheck, type Instruction, PropertyInstruction } from 'dockerfile-ast';
import { z } from 'zod';
import { ROOT } from './npm.js';

export interface Step {
  /** In capitals. */
  readonly keyword: string;
  readonly flags: ReadonlyMap<string, string>;
  /** Behind the keyword and the flags. */
  readonly words: readonly string[];
  /** Of ENV, ARG and LABEL. */
  readonly values: Readonly<Record<string, string>>;
}

export interface Stage {
  /** '' where the file gives none. */
  readonly name: string;
  readonly image: string;
  readonly steps: readonly Step[];
}

/** What the instructions of the last stage say about its process. */
export interface ImageSettings {
  readonly env: Readonly<Record<string, string>>;
  readonly user: number;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly healthcheck: readonly string[];
}

export const DOCKERFILE = readFileSync(`${ROOT}Dockerfile`, 'utf8');

/** The stages of the repository's Dockerfile, in order. */
export function readStages(): Stage[] {
  const stages: Array<{ name: string; image: string; steps: Step[] }> = [];
  for (const instruction of DockerfileParser.parse(DOCKERFILE).getInstructions()) {
    if (instruction instanceof From)
      stages.push({ name: instruction.getBuildStage() ?? '', image: instruction.getImage() ?? '', steps: [] });
    else stages.at(-1)?.steps.push(stepOf(instruction));
  }
  return stages;
}

export function settingsOf(stages: readonly Stage[]): ImageSettings {
  const steps = stages.at(-1)?.steps ?? [];
  const last = (keyword: string): readonly string[] => steps.findLast((step) => step.keyword === keyword)?.words ?? [];
  return {
    env: Object.assign({}, ...steps.filter(({ keyword }) => keyword === 'ENV').map(({ values }) => values)),
    user: Number(last('USER')[0]?.split(':')[0]),
    entrypoint: jsonOf(last('ENTRYPOINT')),
    command: jsonOf(last('CMD')),
    healthcheck: jsonOf(last('HEALTHCHECK').slice(1)),
  };
}

function stepOf(instruction: Instruction): Step {
  const flags = instruction instanceof Copy || instruction instanceof Healthcheck ? instruction.getFlags() : [];
  const properties = instruction instanceof PropertyInstruction ? instruction.getProperties() : [];
  return {
    keyword: instruction.getKeyword(),
    flags: new Map(flags.map((flag) => [flag.getName(), flag.getValue() ?? ''])),
    words: instruction.getArguments().map((argument) => argument.getValue()),
    values: Object.fromEntries(properties.map((property) => [property.getName(), property.getValue() ?? ''])),
  };
}

/** The form of a command that runs without a shell. @throws Error for the other form */
function jsonOf(words: readonly string[]): string[] {
  return z.array(z.string()).parse(JSON.parse(words.join(' ')));
}
