import { useRef } from 'react';
import { usePlayerSource } from '../hooks/use-player-source.js';
import type { ReadyMedia } from '../model.js';
import { frameOf } from './frame.js';

interface VideoClipProps {
  readonly media: ReadyMedia;
  readonly keepsFrame: boolean;
}

/** Jumps anywhere without loading what is between: the link answers ranges. */
export function VideoClip({ media, keepsFrame }: VideoClipProps) {
  const player = useRef<HTMLVideoElement>(null);
  const source = usePlayerSource(player, media.playableUrl ?? media.url);
  return (
    <video
      ref={player}
      className="video"
      style={frameOf(media, keepsFrame)}
      controls
      playsInline
      preload="metadata"
      poster={media.thumbnailUrl ?? undefined}
      src={source}
      aria-label={media.caption ?? media.filename ?? 'Video'}
    />
  );
}
