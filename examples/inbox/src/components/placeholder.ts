import { thumbHashToDataURL } from 'thumbhash';

/** A blurred picture of some bytes, as a data URL; undefined where there is none. */
export function placeholderOf(thumbHash: string | null): string | undefined {
  if (thumbHash === null) return undefined;
  return thumbHashToDataURL(Uint8Array.from(atob(thumbHash), (character) => character.charCodeAt(0)));
}
