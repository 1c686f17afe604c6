import { useState } from 'react';
import { isReady, type Media, type ReadyMedia } from '../model.js';
import type { MediaDeletionScope, MessageDirection } from '../operations.generated.js';
import type { Contact } from './conversation-view.js';
import { DocumentCard } from './document-card.js';
import { GoneTile } from './gone-tile.js';
import { MediaActions } from './media-actions.js';
import { PendingTile } from './pending-tile.js';
import { Picture } from './picture.js';
import { Sticker } from './sticker.js';
import { VideoClip } from './video-clip.js';
import { VoiceNote } from './voice-note.js';

interface MediaTileProps {
  readonly media: Media;
  readonly direction: MessageDirection;
  readonly contact: Contact;
  readonly conversationId: string;
  readonly onChange: () => void;
}

/** One attachment, as what it is and how far it is. */
export function MediaTile({ media, direction, contact, conversationId, onChange }: MediaTileProps) {
  // What was awaited on this page keeps the frame that it was awaited in, so that nothing jumps when it is there.
  const [wasAwaited] = useState(media.status === 'PENDING');
  const [deletedAt, setDeletedAt] = useState<MediaDeletionScope | null>(null);
  const isPending = media.status === 'PENDING';
  if (!isPending && !isReady(media)) {
    return (
      <GoneTile
        media={media}
        direction={direction}
        contact={contact}
        conversationId={conversationId}
        deletedAt={deletedAt}
        onRequested={onChange}
      />
    );
  }
  return (
    <figure className="media" data-kind={media.kind}>
      {isReady(media) ? (
        <Shown media={media} contact={contact} keepsFrame={wasAwaited} />
      ) : (
        <PendingTile media={media} direction={direction} />
      )}
      {media.caption !== null && <figcaption className="text">{media.caption}</figcaption>}
      {/* Empty, it takes the place that facts and buttons will have. */}
      <div className="actions">{isReady(media) && <MediaActions media={media} onDeleted={setDeletedAt} />}</div>
    </figure>
  );
}

interface ShownProps {
  readonly media: ReadyMedia;
  readonly contact: Contact;
  readonly keepsFrame: boolean;
}

function Shown({ media, contact, keepsFrame }: ShownProps) {
  switch (media.kind) {
    case 'IMAGE':
      return <Picture media={media} contact={contact} keepsFrame={keepsFrame} />;
    case 'STICKER':
      return <Sticker media={media} />;
    case 'AUDIO':
      return <VoiceNote media={media} />;
    case 'VIDEO':
      return <VideoClip media={media} keepsFrame={keepsFrame} />;
    case 'DOCUMENT':
    case 'OTHER':
      return <DocumentCard media={media} />;
  }
}
