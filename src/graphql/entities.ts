import { z } from 'zod';
import { MediagraphError, toError } from '../model/errors.js';
import { assertProviderMessageId } from '../model/ids.js';
import type { Media } from '../model/media.js';
import type { ConnectedChannel } from '../providers/channel-directory.js';
import { type GraphQLContext, requireScope } from './context.js';
import { MessageSource } from './message-source.js';

/**
 * Representations as a router sends them (Federation subgraph specification, "Resolve requests for entities"). A router
 * may add fields; the key's must be there.
 */
const representation = z.discriminatedUnion('__typename', [
  z.object({ __typename: z.literal('Message'), id: z.string() }),
  z.object({ __typename: z.literal('Media'), id: z.string() }),
  z.object({ __typename: z.literal('MediaChannel'), id: z.string() }),
]);
const messagePair = z.object({
  __typename: z.literal('Message'),
  channelId: z.string(),
  providerMessageId: z.string(),
});

type Entity = MessageSource | (Media & { __typename: 'Media' }) | (ConnectedChannel & { __typename: 'MediaChannel' });
type Resolved = Entity | null | Error | Promise<Entity | null>;

/**
 * `_entities`. Stands in for the library's own resolver, which makes three promises per representation and fails the
 * whole list for one of an unknown type; here each answers for itself.
 */
export function resolveEntities(
  _source: unknown,
  args: { representations: unknown[] },
  context: GraphQLContext,
): Resolved[] {
  requireScope(context, 'media:read');
  context.cache.allow();
  return args.representations.map((one) => {
    try {
      return resolveEntity(one, context);
    } catch (thrown) {
      return toError(thrown);
    }
  });
}

function resolveEntity(given: unknown, context: GraphQLContext): Resolved {
  const pair = messagePair.safeParse(given);
  if (pair.success) {
    assertProviderMessageId(pair.data.providerMessageId);
    return MessageSource.fromKey(pair.data, context.messageIds);
  }
  const parsed = representation.safeParse(given);
  if (!parsed.success) throw badRepresentation(given);
  const { __typename, id } = parsed.data;
  switch (__typename) {
    case 'Message':
      return MessageSource.fromId(id);
    case 'Media':
      return context.loaders.mediaById.load(id).then((media) => media && { ...media, __typename });
    case 'MediaChannel': {
      const channel = context.channels.find(context.caller.tenant, id);
      return channel && { ...channel, __typename };
    }
  }
}

function badRepresentation(given: unknown): MediagraphError {
  const keys = typeof given === 'object' && given !== null ? Object.keys(given).slice(0, 5).join(', ') : typeof given;
  return new MediagraphError(
    'BAD_USER_INPUT',
    `expected a representation of Message (id, or channelId and providerMessageId), Media (id) or MediaChannel (id) with its __typename, got one with: ${keys}`,
  );
}
