import { safeFilename } from '../../links/media-name.js';

/** RFC 6266: an ASCII name for old clients, and the name itself (RFC 8187) where it differs. */
export function contentDisposition(disposition: 'inline' | 'attachment', filename: string): string {
  const ascii = asciiName(filename);
  const plain = `${disposition}; filename="${ascii}"`;
  if (ascii === filename) return plain;
  const extended = encodeURIComponent(filename).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `${plain}; filename*=UTF-8''${extended}`;
}

function asciiName(filename: string): string {
  // NFKD may turn other characters into a slash, a dot or a device name, so the name is made safe again.
  const plain = safeFilename(filename.normalize('NFKD').replace(/\p{M}/gu, ''));
  return (plain ?? 'media').replace(/[^\x20-\x7e]|["\\%]/gu, '_');
}
