import type { Fault } from '../faults.js';
import { formatTime } from '../format.js';
import type { Message } from '../model.js';
import type { Contact } from './conversation-view.js';
import { MediaTile } from './media-tile.js';
import { Notice } from './notice.js';

interface MessageBubbleProps {
  readonly message: Message;
  /** Its media could not be asked for. */
  readonly fault: Fault | null;
  readonly contact: Contact;
  readonly conversationId: string;
  readonly onRetry: () => void;
}

export function MessageBubble({ message, fault, contact, conversationId, onRetry }: MessageBubbleProps) {
  const { direction, sentAt, text, media } = message;
  const isSticker = media?.length === 1 && media[0]?.kind === 'STICKER' && media[0].status === 'READY';
  const frame = isSticker ? 'bare' : media?.length || fault ? 'media' : 'text';
  return (
    <li className="message" data-direction={direction} data-frame={frame}>
      <article aria-label={`${direction === 'OUTBOUND' ? 'You' : contact.name}, ${formatTime(sentAt)}`}>
        {media?.map((one) => (
          <MediaTile
            key={one.id}
            media={one}
            direction={direction}
            contact={contact}
            conversationId={conversationId}
            onChange={onRetry}
          />
        ))}
        {fault && <Notice fault={fault} onRetry={onRetry} />}
        {text !== null && <p className="text">{text}</p>}
        <time className="sent" dateTime={sentAt}>
          {formatTime(sentAt)}
        </time>
      </article>
    </li>
  );
}
