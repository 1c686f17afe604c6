import { z } from 'zod';
import { SHOWN_IN_FAULTS, section } from '../settings/section.js';
import { boolean, bytes, duration, positive, wholeNumber } from '../settings/units.js';
import { MESSAGE_IDS } from './resolvers/message-source.js';

/** V8's longest string is 2^29 - 24 characters (v8.dev, `String::kMaxLength`); some are left for what surrounds the answer. */
const LONGEST_STRING = 500_000_000;

/** The section `limits`. */
export const limits = section({
  maxDepth: positive().default(8).describe('The maximum depth of nested fields.'),
  maxAliases: positive().default(30).describe('The maximum number of aliased fields.'),
  maxTokens: positive().default(2_000).describe('The maximum number of tokens of the document.'),
  maxNodes: positive()
    .default(500_000)
    .describe('The maximum number of fields in the response of one operation: aliases times list items times fields.'),
  maxProviderCalls: positive().default(1_000).describe('The maximum number of provider calls of one operation.'),
  maxAnswerBytes: bytes({ max: LONGEST_STRING })
    .default(64_000_000)
    .describe('The maximum size of one response, including its errors.'),
  bodyBytes: bytes()
    .default(4_000_000)
    .describe(
      "The maximum size of a request body after decoding. A router's request for 10,000 entities is larger than one megabyte.",
    ),
  requestsPerMinute: positive()
    .nullable()
    .default(null)
    .describe(
      'The maximum number of GraphQL requests of one tenant in any minute, over all replicas. `tenants.<tenant>.requestsPerMinute` replaces it. `null`: no limit.',
    ),
  eventLoopDelay: duration({ minMs: 100, maxMs: 60_000, example: '1s' })
    .nullable()
    .default(1_000)
    .describe(
      'The delay of the event loop from which on GraphQL requests are answered with 503; renditions are from twice, links from four times of it. `null`: no delay.',
    ),
  subscriptionsPerConnection: wholeNumber(1, 10_000)
    .default(100)
    .describe(
      'The maximum number of concurrent subscriptions of one WebSocket. A router may use one WebSocket for all its clients.',
    ),
})
  .meta(SHOWN_IN_FAULTS)
  .describe('These keys limit a request. A request above a limit fails with `QUERY_TOO_COMPLEX` or `RATE_LIMITED`.');

/** The section `federation`. */
export const federation = section({
  messageIds: z
    .enum(MESSAGE_IDS)
    .default('transparent')
    .describe(
      "The form of the ids of `Message`. `transparent`: `<channelId>:<providerMessageId>`. `bare`: the provider's message id. `owned`: a form that only the messages subgraph knows; see [supergraph.md](supergraph.md).",
    ),
  authDirectives: boolean()
    .default(false)
    .describe(
      'Add `@authenticated` and `@requiresScopes` to the SDL, for routers that enforce them. `@apollo/gateway` rejects a supergraph that contains them.',
    ),
  costDirectives: boolean()
    .default(false)
    .describe(
      'Add `@cost` and `@listSize` of Federation 2.9 to the SDL, for routers that estimate the cost of an operation before they execute it.',
    ),
})
  .meta(SHOWN_IN_FAULTS)
  .describe('These keys configure the subgraph for a supergraph.');
