import { useEffect, useEffectEvent } from 'react';
import type { Media } from '../model.js';

/** Asked for again so long before they end. */
const MARGIN_MS = 60_000;
/** Where less than the margin is left already. */
const SHORTEST_MS = 5_000;
/** A timer takes no more than 2^31 milliseconds. */
const LONGEST_MS = 24 * 60 * 60 * 1000;

/** Links end while a page stands open, and timers sleep with the laptop: asks for new ones before, and when it wakes up. */
export function useFreshLinks(media: readonly Media[], refetch: () => void): void {
  const ends = media.flatMap(({ urlExpiresAt }) => (urlExpiresAt === null ? [] : [Date.parse(urlExpiresAt)]));
  const first = ends.length === 0 ? null : Math.min(...ends);
  const renew = useEffectEvent(refetch);
  useEffect(() => {
    if (first === null) return;
    const dueAt = first - MARGIN_MS;
    const waitMs = Math.min(Math.max(dueAt - Date.now(), SHORTEST_MS), LONGEST_MS);
    const timer = setTimeout(() => renew(), waitMs);
    const wake = () => {
      if (document.visibilityState === 'visible' && Date.now() > dueAt) renew();
    };
    document.addEventListener('visibilitychange', wake);
    return () => {
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', wake);
    };
  }, [first]);
}
