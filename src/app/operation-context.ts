import { ExecutionBudget } from '../graphql/execution/execution-budget.js';
import type { GraphQLContext } from '../graphql/resolvers/context.js';
import { createLoaders } from '../graphql/resolvers/loaders.js';
import { CachePolicy } from '../graphql/transport/cache-policy.js';
import type { OperationStart } from '../graphql/transport/entrance.js';
import { MediaWatch } from '../media/watch.js';
import type { Parts } from './parts.js';

/** Creates the context of each operation. It has its own loaders and budgets and shares everything else. */
export function contextCreator(parts: Parts): (start: OperationStart) => GraphQLContext {
  const { config, providers, stores, jobs, bytes, lookup, lazyMirror, urls } = parts;
  const { directory } = providers;
  const watch = new MediaWatch({
    channels: directory,
    catalogue: stores.catalogue,
    changes: stores.changes,
    clock: stores.database.clock,
  });
  return ({ caller, requestId, signal }) => {
    const now = stores.database.clock.now();
    const cache = new CachePolicy(now);
    const budget = new ExecutionBudget(config.limits);
    return {
      caller,
      requestId,
      loaders: createLoaders({
        lookup,
        tenant: caller.tenant,
        call: { signal, calls: budget },
        cache,
        metrics: parts.metrics.work,
      }),
      cache,
      budget,
      mutations: {
        upload: (request) => jobs.upload.upload(caller.tenant, request, signal),
        // A deletion continues when its caller disconnects, so that it is never incomplete.
        delete: (id) => jobs.deletion.delete(caller.tenant, id, lookup, {}),
        retry: (id) => jobs.retry.retry(caller.tenant, id, { signal }),
      },
      watch: (messages) => watch.watch(caller.tenant, messages),
      channels: directory,
      urls,
      renditions: {
        makes: (rendition, mimeType) => bytes.renditions.makes(rendition, mimeType),
        // Without copies there is no original to store a rendition next to.
        fromProvider: lazyMirror !== null,
      },
      bindsToOrigins: config.delivery.bindToOrigins,
      now,
      maxUploadBytes: config.upload.maxBytes,
      messageIds: config.federation.messageIds,
    };
  };
}
