import { z } from 'zod';

/** Where the emulator is and how it lets one in: what it prints when it listens. */
export const providerSchema = z.object({
  url: z.string(),
  baseUrl: z.string(),
  accountSid: z.string(),
  username: z.string(),
  password: z.string(),
});

export type Provider = z.infer<typeof providerSchema>;
