import { useEffect, useRef } from 'react';
import { useConversation } from '../hooks/use-conversation.js';
import type { Connection } from '../hooks/use-media-updates.js';
import { providerName } from '../model.js';
import type { ChannelsQuery, ConversationQuery } from '../operations.generated.js';
import { Avatar } from './avatar.js';
import { Composer } from './composer.js';
import { BackIcon } from './icons.js';
import { MessageList } from './message-list.js';
import { Notice } from './notice.js';

export type Channel = ChannelsQuery['mediaChannels'][number];
export type Contact = NonNullable<ConversationQuery['conversation']>['contact'];

const CONNECTION_WORDS: Readonly<Record<Connection, string>> = {
  connecting: 'Connecting',
  live: 'Live',
  off: 'Not live',
};

interface ConversationViewProps {
  readonly id: string;
  readonly contact: Contact;
  /** null: not known yet. */
  readonly channel: Channel | null;
}

export function ConversationView({ id, contact, channel }: ConversationViewProps) {
  const { conversation, faultAt, failed, connection, refetch } = useConversation(id);
  const heading = useRef<HTMLHeadingElement>(null);
  // After a link, the focus moves to the heading of the new view.
  useEffect(() => {
    if (location.hash !== '' && document.activeElement?.closest('nav')) heading.current?.focus();
  }, []);
  return (
    <>
      <title>{`${contact.name} · Inbox`}</title>
      <header className="open-head">
        <a className="icon-button back" href="#/" aria-label="All conversations">
          <BackIcon />
        </a>
        <Avatar name={contact.name} />
        <div className="open-who">
          <h2 ref={heading} tabIndex={-1}>
            {contact.name}
          </h2>
          <p>{[channel && providerName(channel.provider), contact.phone].filter(Boolean).join(' · ')}</p>
        </div>
        {/* Another element for another word: nothing moves. */}
        <p key={connection} className="live" data-live={connection === 'live'}>
          {CONNECTION_WORDS[connection]}
        </p>
      </header>
      {failed && <Notice fault={failed} onRetry={refetch} />}
      {conversation === null && <p className="hint">This conversation is not there any more.</p>}
      <MessageList
        messages={conversation?.messages ?? null}
        faultAt={faultAt}
        contact={contact}
        conversationId={id}
        onRetry={refetch}
      />
      <Composer conversationId={id} channel={channel} contact={contact} onSent={refetch} />
    </>
  );
}
