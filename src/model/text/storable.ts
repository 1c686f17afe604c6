/**
 * A text as PostgreSQL can hold it. Its texts refuse U+0000, and its JSON refuses half a surrogate pair as well, either of
 * which a caption or a file name may hold: no caller's text may be able to fail the statement that stores it.
 */
export function storable<Text extends string | null | undefined>(text: Text): Text | string {
  return typeof text === 'string' ? text.replaceAll('\0', '').toWellFormed() : text;
}

/** A value as PostgreSQL's `jsonb` can hold it; its strings as {@link storable} has them. */
export function storableJson(value: object): string {
  return JSON.stringify(value, (_key, member: unknown) => (typeof member === 'string' ? storable(member) : member));
}
