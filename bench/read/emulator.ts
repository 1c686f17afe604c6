import { fileURLToPath } from 'node:url';
import { request } from 'undici';
import { z } from 'zod';
import { type Child, startChild } from '../support/child-processes.js';

const STANDALONE = fileURLToPath(new URL('../../dist/emulators/standalone.js', import.meta.url));

const announced = z.object({
  url: z.string(),
  baseUrl: z.string(),
  accountSid: z.string(),
  username: z.string(),
  password: z.string(),
});

/** Where the provider is and how it lets one in. */
export type Provider = z.infer<typeof announced>;

/** SignalWire, in a process of its own; every message has one photo. */
export interface Emulator {
  readonly provider: Provider;
  /** API requests since it started. */
  count(): Promise<number>;
  stop(): Promise<void>;
}

export async function startEmulator(options: { messages: number; latencyMs: number }): Promise<Emulator> {
  const child: Child = await startChild({
    name: 'emulator',
    args: [STANDALONE, JSON.stringify(options)],
    ready: /^(\{.*\})$/m,
  });
  const provider = announced.parse(JSON.parse(child.said));
  return {
    provider,
    count: async () => {
      const { body } = await request(`${provider.url}/__count`);
      return z.number().parse(await body.json());
    },
    stop: child.stop,
  };
}
