import { useQuery } from '@apollo/client/react';
import { useEffect, useEffectEvent } from 'react';
import { type Fault, faultAt, faultOfThrown } from '../faults.js';
import { capitalised, kindWord, type Message } from '../model.js';
import { ConversationDocument, type ConversationQuery, LatestMessageDocument } from '../operations.generated.js';
import { useAnnounce } from './announcer.js';
import { useFreshLinks } from './use-fresh-links.js';
import { type Connection, useMediaUpdates } from './use-media-updates.js';

/** The subgraph of messages has no subscription: it is asked whether there is a new one, in milliseconds. */
const POLL_MS = 2_000;

export interface OpenConversation {
  /** undefined: not here yet; null: there is none. */
  readonly conversation: ConversationQuery['conversation'] | undefined;
  /** Why the media of a message is null, by the message's index. */
  readonly faultAt: (index: number) => Fault;
  /** Nothing at all came. */
  readonly failed: Fault | null;
  readonly connection: Connection;
  readonly refetch: () => void;
}

/** A conversation that is kept current: new messages by polling, their media by subscription, links before they end. */
export function useConversation(id: string): OpenConversation {
  const announce = useAnnounce();
  const { data, error, refetch } = useQuery(ConversationDocument, { variables: { id }, errorPolicy: 'all' });
  const again = () => void refetch().catch(() => {});
  const conversation = data?.conversation;
  const messages = conversation?.messages ?? [];
  const media = messages.flatMap((message) => message.media ?? []);

  useNewMessages(id, messages, again);
  useFreshLinks(media, again);
  const connection = useMediaUpdates({
    messageIds: messages.map((message) => message.id),
    onMissed: again,
    onUpdate: (updated) => {
      if (updated.status === 'READY') announce(`${capitalised(kindWord(updated.kind))} has arrived.`);
      // The cache has it now, but no message that it would belong to.
      if (!media.some((known) => known.id === updated.id)) again();
    },
  });

  return {
    conversation,
    faultAt: (index) => faultAt(error, ['conversation', 'messages', index, 'media']),
    failed: error && !conversation ? faultOfThrown(error) : null,
    connection,
    refetch: again,
  };
}

function useNewMessages(conversationId: string, messages: readonly Message[], onNew: () => void): void {
  const { data } = useQuery(LatestMessageDocument, {
    variables: { conversationId },
    pollInterval: POLL_MS,
    // The cache would know a message without its media then.
    fetchPolicy: 'no-cache',
    skipPollAttempt: () => document.hidden,
  });
  const latest = data?.conversation?.messages[0]?.id;
  const notice = useEffectEvent(() => {
    if (messages.length > 0 && !messages.some(({ id }) => id === latest)) onNew();
  });
  useEffect(() => {
    if (latest !== undefined) notice();
  }, [latest]);
}
