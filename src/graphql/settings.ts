import { z } from 'zod';
import { SHOWN_IN_FAULTS, section } from '../settings/section.js';
import { boolean, bytes, positive, wholeNumber } from '../settings/units.js';
import { MESSAGE_IDS } from './resolvers/message-source.js';

/** V8's longest string is 2^29 - 24 characters (v8.dev, `String::kMaxLength`); some are left for what surrounds the answer. */
const LONGEST_STRING = 500_000_000;

/** The section `limits`. */
export const limits = section({
  maxDepth: positive().default(8).describe('Levels of fields.'),
  maxAliases: positive().default(30).describe('Fields with another name.'),
  maxTokens: positive().default(2_000).describe('Words and signs of the document.'),
  maxNodes: positive()
    .default(500_000)
    .describe('Fields that one operation answers with: aliases times items of lists times fields.'),
  maxProviderCalls: positive()
    .default(1_000)
    .describe('How often one operation may ask providers for what is not known yet.'),
  maxAnswerBytes: bytes({ max: LONGEST_STRING }).default(64_000_000).describe('Of one answer, errors included.'),
  bodyBytes: bytes()
    .default(4_000_000)
    .describe("Of the request's body, decoded; 10,000 representations of a router are above one megabyte."),
  requestsPerMinute: positive().nullable().default(null).describe('Of one tenant; `null`: no limit.'),
  subscriptionsPerConnection: wholeNumber(1, 10_000)
    .default(100)
    .describe('Of one WebSocket: a router puts those of all its clients on one.'),
})
  .meta(SHOWN_IN_FAULTS)
  .describe('Of what one caller may ask. What is above is `QUERY_TOO_COMPLEX` or `RATE_LIMITED`.');

/** The section `federation`. */
export const federation = section({
  messageIds: z
    .enum(MESSAGE_IDS)
    .default('transparent')
    .describe(
      "What the ids of `Message` are made of: `<channelId>:<providerMessageId>`, the provider's own id alone, or something that only the subgraph of the messages knows; see [supergraph.md](supergraph.md).",
    ),
  authDirectives: boolean()
    .default(false)
    .describe(
      'Put `@authenticated` and `@requiresScopes` into the SDL, for routers that check them before they ask. `@apollo/gateway` refuses a supergraph that has them.',
    ),
})
  .meta(SHOWN_IN_FAULTS)
  .describe('How the subgraph fits into a supergraph.');
