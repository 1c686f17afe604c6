import type { Config } from '../../config/config.js';
import { findTools, runnableTools, type Tools } from '../../rendering/tools/tools.js';
import type { Check, CheckResult } from './check.js';

/** Each program answers within five seconds or is ended. */
const LIMIT_MS = 10_000;

interface Tool {
  readonly name: string;
  readonly package: string;
  /** What the server does not make without it. */
  readonly makes: string;
}

const TOOLS: Readonly<Record<keyof Tools, Tool>> = {
  ffmpeg: { name: 'ffmpeg', package: 'ffmpeg', makes: 'stills of videos and playable voice notes' },
  pdftoppm: { name: 'pdftoppm', package: 'poppler-utils', makes: 'stills of PDF' },
  pdfinfo: { name: 'pdfinfo', package: 'poppler-utils', makes: 'page counts of PDF' },
  heifConvert: { name: 'heif-convert', package: 'libheif-examples', makes: 'stills of HEIC' },
};

/** Looks for the programs that render, and runs each to ask for its version. */
export function toolsCheck({ toolsPath }: Config): Check {
  const run = async (): Promise<readonly CheckResult[]> => {
    const found = await findTools(toolsPath);
    const runnable = await runnableTools(found, toolsPath);
    return Object.entries(TOOLS).map(([key, tool]) => {
      const name = key as keyof Tools;
      return { check: `tools.${tool.name}`, ...outcomeOf(tool, found[name] !== null, runnable[name]) };
    });
  };
  return { name: 'tools', limitMs: LIMIT_MS, lateStatus: 'warn', run };
}

function outcomeOf(tool: Tool, isFound: boolean, command: string | null): Pick<CheckResult, 'status' | 'message'> {
  if (command !== null) return { status: 'ok', message: `${command} runs` };
  const without = `without it the server makes no ${tool.makes}`;
  return isFound
    ? { status: 'warn', message: `installed, but it cannot be run; ${without}; reinstall ${tool.package}` }
    : { status: 'warn', message: `not found on PATH; ${without}; install ${tool.package}` };
}
