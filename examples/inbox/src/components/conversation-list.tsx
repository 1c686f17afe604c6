import { formatWhen } from '../format.js';
import { capitalised, kindWord, providerName } from '../model.js';
import type { ChannelsQuery, ConversationsQuery, PreviewsQuery } from '../operations.generated.js';
import { Avatar } from './avatar.js';

type Conversation = ConversationsQuery['conversations'][number];

interface ConversationListProps {
  readonly conversations: readonly Conversation[];
  readonly channels: ChannelsQuery['mediaChannels'];
  readonly previews: PreviewsQuery['conversations'];
  readonly openId: string | null;
}

export function ConversationList({ conversations, channels, previews, openId }: ConversationListProps) {
  return (
    <nav className="list" aria-label="Conversations">
      <h1>Inbox</h1>
      <ul>
        {conversations.map(({ id, channelId, contact, messages }) => {
          const channel = channels.find((one) => one.id === channelId);
          const last = messages.at(-1);
          const media = previews.find((one) => one.id === id)?.messages.at(-1)?.media?.[0];
          const words = last?.text ?? (media ? capitalised(kindWord(media.kind)) : 'Attachment');
          return (
            <li key={id}>
              <a
                className="entry"
                href={`#/${encodeURIComponent(id)}`}
                aria-current={id === openId ? 'page' : undefined}
              >
                <Avatar name={contact.name} />
                <span className="entry-name">{contact.name}</span>
                {last && (
                  <time className="entry-time" dateTime={last.sentAt}>
                    {formatWhen(last.sentAt)}
                  </time>
                )}
                <span className="entry-preview">{last?.direction === 'OUTBOUND' ? `You: ${words}` : words}</span>
                <span className="entry-line">{channel ? providerName(channel.provider) : channelId}</span>
              </a>
            </li>
          );
        })}
      </ul>
    </nav>
  );
}
