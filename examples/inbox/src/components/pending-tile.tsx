import { capitalised, kindWord, type Media } from '../model.js';
import type { MessageDirection } from '../operations.generated.js';
import { frameOf } from './frame.js';
import { KindIcon } from './kind-icon.js';

interface PendingTileProps {
  readonly media: Media;
  readonly direction: MessageDirection;
}

/** As large as what is to come. */
export function PendingTile({ media, direction }: PendingTileProps) {
  const isFramed = media.kind === 'IMAGE' || media.kind === 'VIDEO';
  const words =
    direction === 'OUTBOUND'
      ? `Uploading the ${kindWord(media.kind)} …`
      : `${capitalised(kindWord(media.kind))} on its way …`;
  return (
    <div className="pending" style={isFramed ? frameOf(media, true) : undefined}>
      <KindIcon kind={media.kind} />
      <p role="status">{words}</p>
      <progress aria-label={words} />
    </div>
  );
}
