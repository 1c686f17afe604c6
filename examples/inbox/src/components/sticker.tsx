import type { ReadyMedia } from '../model.js';

/** Its whole file, since some move; always as large as the next. */
export function Sticker({ media: { url } }: { readonly media: ReadyMedia }) {
  return <img className="sticker" src={url} alt="Sticker" width="160" height="160" decoding="async" />;
}
