import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** What a program prints; rejects when it is not there or fails. */
export async function printedBy(command: string, ...args: readonly string[]): Promise<string> {
  return (await promisify(execFile)(command, args)).stdout;
}

/** Names of what this machine's ffmpeg can encode with; none where it, or ffprobe, is not installed. */
export async function encodersOfFfmpeg(): Promise<ReadonlySet<string>> {
  try {
    await printedBy('ffprobe', '-version');
    const lines = (await printedBy('ffmpeg', '-hide_banner', '-encoders')).split('\n');
    return new Set(lines.flatMap((line) => /^ [VAS][A-Z.]{5} (\S+)/.exec(line)?.[1] ?? []));
  } catch {
    return new Set();
  }
}

export async function isInstalled(command: string, option: string): Promise<boolean> {
  return printedBy(command, option).then(
    () => true,
    () => false,
  );
}
