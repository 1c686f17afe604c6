import { runInThisContext } from 'node:vm';

/**
 * What would have ended a server's process, from now on until `stop`. Jest gives every file a copy of `process`, which
 * hears nothing; the one that does is in the context outside.
 */
export function watchUnhandled(): { readonly seen: unknown[]; stop(): void } {
  const outside: NodeJS.Process = runInThisContext('process');
  const seen: unknown[] = [];
  const note = (thrown: unknown) => void seen.push(thrown);
  outside.on('uncaughtExceptionMonitor', note).on('unhandledRejection', note);
  return { seen, stop: () => void outside.off('uncaughtExceptionMonitor', note).off('unhandledRejection', note) };
}
