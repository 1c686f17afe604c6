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

/** One for all: a list of a hundred thousand that is nothing but these must cost next to nothing. */
const MALFORMED = new MediagraphError(
  'BAD_USER_INPUT',
  'expected a representation of Message (id, or channelId and providerMessageId), Media (id) or MediaChannel (id) with its __typename, got another',
);
const TOO_LONG = new MediagraphError(
  'BAD_USER_INPUT',
  'expected a representation with ids of at most 512 and texts of at most 2048 characters, got a longer one',
);

/**
 * `_entities`, for representations as a router sends them (Federation subgraph specification, "Resolve requests for
 * entities"). Stands in for the library's own resolver, which makes three promises per representation and fails the whole
 * list for one of an unknown type; here each answers for itself. Their fields are counted before the first is looked for.
 */
export function resolveEntities(
  _source: unknown,
  args: { representations: unknown[] },
  context: GraphQLContext,
  info: GraphQLResolveInfo,
): Resolved[] {
  requireScope(context, 'media:read');
  context.cache.allow();
  const { budget } = context;
  const fields = fieldsOfItems(info);
  const fieldsOf = (given: unknown) =>
    isRecord(given) && isEntityName(given.__typename) ? fields(given.__typename) : 1;
  let nodes = 0;
  for (const one of args.representations) nodes += fieldsOf(one);
  if (!budget.take(nodes, info.path)) return [];
  return budget.inTurns<unknown, Settled>(args.representations, fieldsOf, (one): Resolved => {
    try {
      const resolved = resolveEntity(one, context);
      return resolved instanceof Error ? budget.failed(resolved) : resolved;
    } catch (thrown) {
      return budget.failed(toError(thrown));
    }
  });
}

function resolveEntity(given: unknown, context: GraphQLContext): Resolved {
  if (!isRecord(given)) return MALFORMED;
  const { __typename, id, channelId, providerMessageId } = given;
  const isMessage = __typename === 'Message';
  if (holdsTooLong(given, isMessage)) return TOO_LONG;
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
      // An Error in its place, since an executor may lose count of promises that reject.
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

function isRecord(given: unknown): given is Readonly<Record<string, unknown>> {
  return typeof given === 'object' && given !== null && !Array.isArray(given);
}

// A message's own ids are judged where it is looked for, so that what needs no look-up is answered.
function holdsTooLong(given: Readonly<Record<string, unknown>>, isMessage: boolean): boolean {
  for (const name in given) {
    const value = given[name];
    const isKey = name === 'id' || name === 'channelId' || name === 'providerMessageId';
    if (isKey ? !isMessage && typeof value === 'string' && isTooLongId(value) : isTooLongText(value)) return true;
  }
  return false;
}
