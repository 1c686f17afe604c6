import { useRef } from 'react';
import { formatDuration } from '../format.js';
import { usePlayerSource } from '../hooks/use-player-source.js';
import type { ReadyMedia } from '../model.js';

/** The browser's own player: it works by keyboard, tells screen readers what it does, and looks as people know it. */
export function VoiceNote({ media }: { readonly media: ReadyMedia }) {
  const player = useRef<HTMLAudioElement>(null);
  // Safari before 18.4 plays no Ogg, so the sound that every browser plays.
  const source = usePlayerSource(player, media.playableUrl ?? media.url);
  const length = media.durationSeconds === null ? '' : `, ${formatDuration(media.durationSeconds)}`;
  return (
    <audio
      ref={player}
      className="voice"
      controls
      preload="metadata"
      src={source}
      aria-label={`Voice message${length}`}
    />
  );
}
