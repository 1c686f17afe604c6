import { useQuery } from '@apollo/client/react';
import { ConversationList } from './components/conversation-list.js';
import { ConversationView } from './components/conversation-view.js';
import { Notice } from './components/notice.js';
import { faultOfThrown } from './faults.js';
import { useHash } from './hooks/use-hash.js';
import { ChannelsDocument, ConversationsDocument, PreviewsDocument } from './operations.generated.js';

/** Conversations beside the one that is open; on a phone, one or the other. */
export function App() {
  const chosen = useHash();
  const { data, error, refetch } = useQuery(ConversationsDocument);
  const { data: channels } = useQuery(ChannelsDocument);
  // A failure in the list leaves out only the text that is missing.
  const { data: previews } = useQuery(PreviewsDocument, { errorPolicy: 'all', fetchPolicy: 'no-cache' });

  if (!data) {
    const again = () => void refetch().catch(() => {});
    return <main className="blank">{error && <Notice fault={faultOfThrown(error)} onRetry={again} />}</main>;
  }
  const { conversations } = data;
  const open = conversations.find(({ id }) => id === chosen) ?? conversations[0];
  const channel = channels?.mediaChannels.find(({ id }) => id === open?.channelId);
  return (
    <div className="inbox" data-chosen={chosen !== ''}>
      <ConversationList
        conversations={conversations}
        channels={channels?.mediaChannels ?? []}
        previews={previews?.conversations ?? []}
        openId={open?.id ?? null}
      />
      <main className="open" aria-label="Conversation">
        {open ? (
          <ConversationView key={open.id} id={open.id} contact={open.contact} channel={channel ?? null} />
        ) : (
          <p className="hint">Nobody has written yet.</p>
        )}
      </main>
    </div>
  );
}
