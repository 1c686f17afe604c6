import type { ReadyMedia } from '../model.js';
import { KindIcon } from './kind-icon.js';

/** Its first page where there is one, its name and type; opens in a tab of its own. */
export function DocumentCard({ media }: { readonly media: ReadyMedia }) {
  const { url, filename, mimeType, thumbnailUrl, kind } = media;
  return (
    <a className="document" href={url} target="_blank" rel="noreferrer">
      <span className="page">
        {thumbnailUrl ? <img src={thumbnailUrl} alt="" decoding="async" /> : <KindIcon kind={kind} />}
      </span>
      <span className="document-name">{filename ?? 'Document'}</span>
      <span className="document-facts">{typeWord(mimeType)}</span>
      <span className="visually-hidden">Opens in a new tab</span>
    </a>
  );
}

/** `application/pdf` is called PDF. */
function typeWord(mimeType: string | null): string | null {
  const subtype = mimeType?.split(/[;+]/, 1)[0]?.split('/')[1];
  return subtype ? (subtype.split('.').at(-1) ?? subtype).toUpperCase() : null;
}
