import type { ChannelId } from '../../model/channel.js';

export type CheckStatus = 'ok' | 'warn' | 'fail';

/** The outcome of one check: what is so, and what to do about it. */
export interface CheckResult {
  readonly check: string;
  readonly channelId?: ChannelId;
  readonly status: CheckStatus;
  /** For the operator. It contains no secret, no address behind a name, and no text of another server. */
  readonly message: string;
}

export interface Check {
  /** The name of the check, or of the first of several. */
  readonly name: string;
  readonly channelId?: ChannelId;
  readonly limitMs: number;
  /** The outcome when the time is over. Default: `fail`. */
  readonly lateStatus?: 'warn';
  /** The signal aborts when the time is over. What it still returns then is dropped. */
  run(signal: AbortSignal): Promise<readonly CheckResult[]>;
}

/** A failure whose message is for the operator. */
export class CheckFault extends Error {
  override readonly name = 'CheckFault';
}

/** Runs a check within its time. Never rejects. */
export async function runCheck({ name, channelId, limitMs, lateStatus, run }: Check): Promise<readonly CheckResult[]> {
  const about = { check: name, ...(channelId !== undefined && { channelId }) };
  const over = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const fault = new CheckFault(`no answer within ${limitMs / 1000} s`);
      over.abort(fault);
      reject(fault);
    }, limitMs);
  });
  try {
    return await Promise.race([run(over.signal), late]);
  } catch (thrown) {
    const message = thrown instanceof CheckFault ? thrown.message : `the check failed (${kindOf(thrown)})`;
    const status = over.signal.aborted ? (lateStatus ?? 'fail') : 'fail';
    return [{ ...about, status, message }];
  } finally {
    clearTimeout(timer);
  }
}

/** The system's code or the name of an error. Other text may contain addresses. */
export function kindOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return typeof thrown;
  const word = 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : thrown.name;
  return /^[A-Za-z0-9_]{1,64}$/.test(word) ? word : 'Error';
}
