import { createContext, type ReactNode, useCallback, useContext, useState } from 'react';

type Announce = (words: string) => void;

const AnnouncerContext = createContext<Announce>(() => {});

/** Announces changes that the user did not cause to screen readers, after what they are reading. */
export function AnnouncerProvider({ children }: { readonly children: ReactNode }) {
  const [said, setSaid] = useState({ words: '', count: 0 });
  const announce = useCallback((words: string) => setSaid(({ count }) => ({ words, count: count + 1 })), []);
  return (
    <AnnouncerContext value={announce}>
      {children}
      <p className="visually-hidden" role="status">
        {/* A new element each time, so that the same words are read again. */}
        <span key={said.count}>{said.words}</span>
      </p>
    </AnnouncerContext>
  );
}

export function useAnnounce(): Announce {
  return useContext(AnnouncerContext);
}
