import type { GraphQLResolveInfo } from 'graphql';
import { MediagraphError, toError } from '../../model/errors.js';
import { assertProviderMessageId } from '../../model/ids.js';
import type { Media } from '../../model/media.js';
import type { ConnectedChannel } from '../../providers/channel-directory.js';
import { fieldsOfItems } from '../schema/field-costs.js';
import { isTooLongId, isTooLongText } from './argument-limits.js';
import { type GraphQLContext, requireScope } from './context.js';
import { MessageSource } from './message-source.js';

type Entity = MessageSource | (Media & { __typename: 'Media' }) | (ConnectedChannel & { __typename: 'MediaChannel' });
type Settled = Entity | Error | null;
type Resolved = Settled | Promise<Settled>;

/** One shared error: a request may have a hundred thousand malformed representations. */
const MALFORMED = new MediagraphError(
  'BAD_USER_INPUT',
  'expected a representation of Message (id, or channelId and providerMessageId), Media (id) or MediaChannel (id) with its __typename, got another',
);
const TOO_LONG = new MediagraphError(
  'BAD_USER_INPUT',
  'expected a representation with ids of at most 512 and texts of at most 2048 characters, got a longer one',
);

/**
 * `_entities`: resolves the representations that a router sends (Federation subgraph specification, "Resolve requests
 * for entities"). It replaces the library's resolver, which makes three promises per representation and fails the whole
 * list for one of an unknown type. Here each fails alone, and all fields are counted before the first entity is loaded.
 */
export function resolveEntities(
  _source: unknown,
  args: Readonly<Record<string, unknown>>,
  context: GraphQLContext,
  info: GraphQLResolveInfo,
): Resolved[] {
  requireScope(context, 'media:read');
  context.cache.allow();
  const { budget } = context;
  const representations: unknown[] = Array.isArray(args.representations) ? args.representations : [];
  const fields = fieldsOfItems(info);
  const fieldsOf = (representation: unknown) =>
    isRecord(representation) && isEntityName(representation.__typename) ? fields(representation.__typename) : 1;
  let nodes = 0;
  for (const representation of representations) nodes += fieldsOf(representation);
  if (!budget.take(nodes, info.path)) return [];
  return budget.inTurns<unknown, Settled>(representations, fieldsOf, (representation): Resolved => {
    try {
      const resolved = resolveEntity(representation, context);
      return resolved instanceof Error ? budget.failed(resolved) : resolved;
    } catch (thrown) {
      return budget.failed(toError(thrown));
    }
  });
}

function resolveEntity(representation: unknown, context: GraphQLContext): Resolved {
  if (!isRecord(representation)) return MALFORMED;
  const { __typename, id, channelId, providerMessageId } = representation;
  const isMessage = __typename === 'Message';
  if (holdsTooLong(representation, isMessage)) return TOO_LONG;
  if (isMessage && typeof channelId === 'string' && typeof providerMessageId === 'string') {
    if (isTooLongId(channelId)) return TOO_LONG;
    assertProviderMessageId(providerMessageId);
    return MessageSource.fromKey({ channelId, providerMessageId }, context.messageIds);
  }
  if (typeof id !== 'string') return MALFORMED;
  switch (__typename) {
    case 'Message':
      return MessageSource.fromId(id);
    case 'Media':
      // The promise resolves to an Error, since an executor may mishandle rejections within a list.
      return context.loaders.mediaById.load(id).then(
        (media) => media && { ...media, __typename },
        (thrown: unknown) => context.budget.failed(toError(thrown)),
      );
    case 'MediaChannel': {
      const channel = context.channels.find(context.caller.tenant, id);
      return channel && { ...channel, __typename };
    }
    default:
      return MALFORMED;
  }
}

function isEntityName(name: unknown): name is 'Message' | 'Media' | 'MediaChannel' {
  return name === 'Message' || name === 'Media' || name === 'MediaChannel';
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The ids of a message are checked when it is loaded, so that fields that need no loading are answered. */
function holdsTooLong(representation: Readonly<Record<string, unknown>>, isMessage: boolean): boolean {
  for (const name in representation) {
    const value = representation[name];
    const isKey = name === 'id' || name === 'channelId' || name === 'providerMessageId';
    if (isKey ? !isMessage && typeof value === 'string' && isTooLongId(value) : isTooLongText(value)) return true;
  }
  return false;
}
