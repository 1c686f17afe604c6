import { type RefObject, useEffect, useState } from 'react';

/**
 * The address for a player. A new one would start it over, so while it plays it keeps the one that it has, and takes the
 * new one when it stands still, at the same place.
 */
export function usePlayerSource(player: RefObject<HTMLMediaElement | null>, url: string): string {
  const [source, setSource] = useState(url);
  useEffect(() => {
    const element = player.current;
    if (!element || source === url) return;
    const change = () => {
      const at = element.currentTime;
      setSource(url);
      if (at > 0 && !element.ended)
        element.addEventListener('loadedmetadata', () => Object.assign(element, { currentTime: at }), { once: true });
    };
    if (element.paused) {
      change();
      return;
    }
    element.addEventListener('pause', change, { once: true });
    return () => element.removeEventListener('pause', change);
  }, [player, source, url]);
  return source;
}
