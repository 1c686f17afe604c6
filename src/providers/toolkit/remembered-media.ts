/** How many media each cache of an adapter remembers. An entry is forgotten when this many newer ones exist. */
export const MAX_REMEMBERED_MEDIA = 50_000;
