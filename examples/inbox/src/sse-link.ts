import { ApolloLink, Observable } from '@apollo/client';
import { print } from 'graphql';
import { type Client, createClient } from 'graphql-sse';

/**
 * Subscriptions over Server-Sent Events (graphql-sse, distinct connections mode), which need no protocol of their own: any
 * proxy that streams lets them through. Connects again by itself. `context.onConnected` of an operation is called each
 * time; what happened before is not repeated, so whoever listens asks for it then.
 */
export class SseLink extends ApolloLink {
  readonly #client: Client;

  constructor(url: string) {
    super();
    this.#client = createClient({ url, retryAttempts: Number.POSITIVE_INFINITY });
  }

  override request({ query, operationName, variables, getContext }: ApolloLink.Operation) {
    return new Observable<ApolloLink.Result>((observer) =>
      this.#client.subscribe<Record<string, unknown>, Record<string, unknown>>(
        { query: print(query), operationName, variables },
        {
          next: (result) => observer.next(result),
          error: (fault) => observer.error(fault),
          complete: () => observer.complete(),
        },
        { connected: () => getContext().onConnected?.() },
      ),
    );
  }
}
