import { useApolloClient } from '@apollo/client/react';
import { useEffect, useEffectEvent, useState } from 'react';
import type { Media } from '../model.js';
import { MediaUpdatedDocument } from '../operations.generated.js';

export type Connection = 'connecting' | 'live' | 'off';

interface MediaUpdates {
  /** At most 100. */
  readonly messageIds: readonly string[];
  readonly onUpdate: (media: Media) => void;
  /** Changes may have been missed: before the connection was open, or while it was broken. */
  readonly onMissed: () => void;
}

/**
 * Listens to what becomes of the media of some messages; the cache takes it over by itself. A subscription does not begin
 * with how things are, so it is connected first and asked for them after that.
 */
export function useMediaUpdates({ messageIds, onUpdate, onMissed }: MediaUpdates): Connection {
  const client = useApolloClient();
  const [connection, setConnection] = useState<Connection>('connecting');
  const update = useEffectEvent(onUpdate);
  const connected = useEffectEvent(() => {
    setConnection('live');
    onMissed();
  });
  const variables = JSON.stringify({ messageIds });
  useEffect(() => {
    const selected: { messageIds: string[] } = JSON.parse(variables);
    if (selected.messageIds.length === 0) return;
    const updates = client.subscribe({
      query: MediaUpdatedDocument,
      variables: selected,
      errorPolicy: 'all',
      context: { onConnected: () => connected() },
    });
    const subscription = updates.subscribe({
      next: ({ data }) => data && update(data.mediaUpdated),
      error: () => setConnection('off'),
      complete: () => setConnection('off'),
    });
    return () => {
      setConnection('connecting');
      subscription.unsubscribe();
    };
  }, [client, variables]);
  return connection;
}
