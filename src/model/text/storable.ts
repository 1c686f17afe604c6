/** PostgreSQL's texts cannot hold U+0000, which a JSON payload can: a caption must not be able to fail its event. */
export function storable<Text extends string | null | undefined>(text: Text): Text | string {
  return typeof text === 'string' ? text.replaceAll('\0', '') : text;
}
