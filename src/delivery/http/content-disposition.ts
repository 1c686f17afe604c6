import { safeFilename } from '../../links/media-name.js';

/** RFC 6266: an ASCII stand-in for old readers, and the name itself (RFC 8187) where that is not the same. */
export function contentDisposition(disposition: 'inline' | 'attachment', filename: string): string {
  const ascii = standIn(filename);
  const plain = `${disposition}; filename="${ascii}"`;
  if (ascii === filename) return plain;
  const extended = encodeURIComponent(filename).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `${plain}; filename*=UTF-8''${extended}`;
}

function standIn(filename: string): string {
  // Made safe once more: what stood for a slash, a dot or a device's name has become one.
  const plain = safeFilename(filename.normalize('NFKD').replace(/\p{M}/gu, ''));
  return (plain ?? 'media').replace(/[^\x20-\x7e]|["\\%]/gu, '_');
}
