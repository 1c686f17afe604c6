import type { Readable } from 'node:stream';
import { MediagraphError } from '../../model/errors.js';

/** For all bodies that are being read, and for the bodies of one tenant. */
const MAX_BYTES = 128_000_000;
const MAX_BYTES_OF_TENANT = 64_000_000;
const RETRY_AFTER_MS = 5_000;

/**
 * Counts the memory that bodies hold while they are read, so that many slow ones cannot exhaust it. The bodies of one
 * tenant hold at most half. A body for which no room is left is refused.
 */
export class BodyMemory {
  #bytes = 0;
  readonly #bytesOfTenant = new Map<string, number>();

  /** Counts a body until it closes. */
  watch(body: Readable, tenant: string): void {
    let held = 0;
    const add = (bytes: number) => {
      held += bytes;
      this.#bytes += bytes;
      const ofTenant = (this.#bytesOfTenant.get(tenant) ?? 0) + bytes;
      if (ofTenant > 0) this.#bytesOfTenant.set(tenant, ofTenant);
      else this.#bytesOfTenant.delete(tenant);
      return this.#bytes <= MAX_BYTES && ofTenant <= MAX_BYTES_OF_TENANT;
    };
    const onData = (chunk: Buffer) => {
      if (add(chunk.length)) return;
      body.off('data', onData);
      body.destroy(noRoomLeft());
    };
    body.on('data', onData);
    body.once('close', () => add(-held));
  }
}

function noRoomLeft(): MediagraphError {
  return new MediagraphError('RATE_LIMITED', 'expected fewer bodies at once than are being read already', {
    retryable: true,
    retryAfterMs: RETRY_AFTER_MS,
  });
}
