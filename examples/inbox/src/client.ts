import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client';
import { OperationTypeNode } from 'graphql';
import { SseLink } from './sse-link.js';

/** The supergraph, at the origin of the page: no CORS, and cookies of a session would just be sent. */
const ENDPOINT = '/graphql';

export function createApolloClient(): ApolloClient {
  return new ApolloClient({
    link: ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      new SseLink(ENDPOINT),
      new HttpLink({ uri: ENDPOINT }),
    ),
    // Media are kept by id: what a subscription tells of one shows wherever it is on the page.
    cache: new InMemoryCache({
      typePolicies: { Contact: { merge: true }, MediaChannelCapabilities: { merge: true } },
    }),
  });
}
