/**
 * The characters for the bytes 80 to 9F (WHATWG Encoding, index-windows-1252). Five bytes have no character and map to
 * themselves.
 */
const SIGNS = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ';

/**
 * Decodes bytes as browsers decode Latin-1, which is Windows-1252. Node 20's own decoder turns 80 to 9F into control
 * characters.
 */
export function readWindows1252(bytes: Uint8Array): string {
  const latin1 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  return latin1.replace(/[\x80-\x9f]/g, (byte) => SIGNS.charAt(byte.charCodeAt(0) - 0x80));
}
