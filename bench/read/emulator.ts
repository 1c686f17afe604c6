import { fileURLToPath } from 'node:url';
import { request } from 'undici';
import { z } from 'zod';
import { startChild } from '../support/child-processes.js';
import { type Provider, providerSchema } from './provider.js';

const PROCESS = fileURLToPath(new URL('./emulator-process.ts', import.meta.url));

/** SignalWire, in a process of its own; every message that it is asked for has one photo. */
export interface Emulator {
  readonly provider: Provider;
  /** API requests since it started. */
  count(): Promise<number>;
  stop(): Promise<void>;
}

export async function startEmulator(latencyMs: number): Promise<Emulator> {
  const child = await startChild({
    name: 'emulator',
    args: ['--import', '@swc-node/register/esm-register', PROCESS, String(latencyMs)],
    ready: /^(\{.*\})$/m,
  });
  const provider = providerSchema.parse(JSON.parse(child.said));
  return {
    provider,
    count: async () => {
      const { body } = await request(`${provider.url}/__count`);
      return z.number().parse(await body.json());
    },
    stop: child.stop,
  };
}
