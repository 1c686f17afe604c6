import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { DeliverySource, WorkMetrics } from '../../telemetry/instruments/work-metrics.js';
import type { Delivery } from '../delivery.js';

export type DeliveryMetrics = Pick<WorkMetrics, 'delivered' | 'bytesDelivered'>;

/** Where `open` will take the bytes from. */
export function sourceOf({ bytesInMemory }: Delivery): DeliverySource {
  if (!bytesInMemory) return 'provider';
  return bytesInMemory() === null ? 'store' : 'memory';
}

/**
 * Counts a response and its bytes; those of a stream when the response closes, since its client may leave early.
 * @param length of the body; null: unknown
 */
export function countDelivery(
  { raw }: FastifyReply,
  { source, body, length }: { source: DeliverySource; body?: Buffer | Readable; length: number | null },
  metrics: DeliveryMetrics,
): void {
  metrics.delivered(source);
  if (Buffer.isBuffer(body)) metrics.bytesDelivered(source, body.length);
  const { socket } = raw;
  if (!(body instanceof Readable) || !socket) return;
  const before = socket.bytesWritten;
  // The headers and what the socket still held count as well where the client left early.
  raw.once('close', () => {
    metrics.bytesDelivered(source, Math.min(socket.bytesWritten - before, length ?? Number.POSITIVE_INFINITY));
  });
}
