import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { GraphQLClient } from '../support/load.js';
import type { Delivery } from './lines.js';

/** As many as `messagesWithMedia` takes. */
const BATCH = 100;
const POLL_MS = 100;
const MOST_NAMED = 5;
const QUERY = 'query Account($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { id status sha256 } } }';

const answer = z.object({
  data: z.object({
    messagesWithMedia: z.array(
      z.object({ media: z.array(z.object({ id: z.string(), status: z.string(), sha256: z.string().nullable() })) }),
    ),
  }),
});

type Media = z.infer<typeof answer>['data']['messagesWithMedia'][number]['media'];

export interface AccountingOptions {
  readonly client: GraphQLClient;
  /** Acknowledged, one a message. */
  readonly deliveries: readonly Delivery[];
  readonly timeoutMs: number;
}

/**
 * Waits until the media of every acknowledged message are here. Queries cost the server time, so the latest messages are
 * asked for until they are READY, and only then all.
 * @returns what is missing, is there twice, or is not READY with the bytes that it was announced with, in time; else null
 */
export async function accountFor({ client, deliveries, timeoutMs }: AccountingOptions): Promise<string | null> {
  const deadline = performance.now() + timeoutMs;
  for (let faults = [''], ids = new Set<string>(); faults.length > 0; ids = new Set()) {
    faults = await faultsAmong(deliveries.slice(-BATCH), client, ids);
    for (let from = 0; faults.length === 0 && from < deliveries.length - BATCH; from += BATCH)
      faults = await faultsAmong(
        deliveries.slice(from, Math.min(from + BATCH, deliveries.length - BATCH)),
        client,
        ids,
      );
    if (faults.length > 0 && performance.now() > deadline) return lossOf(deliveries, client);
    if (faults.length > 0) await sleep(POLL_MS);
  }
  return null;
}

async function lossOf(deliveries: readonly Delivery[], client: GraphQLClient): Promise<string> {
  const ids = new Set<string>();
  const faults: string[] = [];
  for (let from = 0; from < deliveries.length; from += BATCH)
    faults.push(...(await faultsAmong(deliveries.slice(from, from + BATCH), client, ids)));
  const some = faults.slice(0, MOST_NAMED).join('; ');
  return `expected every acknowledged media to be READY once, got ${faults.length} that are not: ${some}`;
}

/** @param ids of all media that were seen so far, these included */
async function faultsAmong(
  deliveries: readonly Delivery[],
  client: GraphQLClient,
  ids: Set<string>,
): Promise<string[]> {
  const variables = { ids: deliveries.map(({ messageId }) => messageId) };
  const { data } = answer.parse(JSON.parse(await client.ask(JSON.stringify({ query: QUERY, variables }))));
  return deliveries.flatMap((delivery, index) => {
    const fault = faultOf(delivery, data.messagesWithMedia[index]?.media ?? [], ids);
    return fault === null ? [] : [`${delivery.messageId} has ${fault}`];
  });
}

function faultOf({ sha256 }: Delivery, media: Media, ids: Set<string>): string | null {
  const [one] = media;
  if (!one || media.length > 1) return `${media.length} media`;
  if (one.status !== 'READY') return `a media that is ${one.status}`;
  if (one.sha256 !== sha256) return 'a media of other bytes';
  if (ids.has(one.id)) return 'the media of another message';
  ids.add(one.id);
  return null;
}
