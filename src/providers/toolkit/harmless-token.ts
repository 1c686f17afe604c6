/** Returns a provider's token (an error code, a request id) if it is short and has harmless characters only. */
export function harmlessToken(value: unknown): string | undefined {
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text !== 'string' || text.length > 128) return undefined;
  return /^[A-Za-z0-9_.:-]{1,128}$/.test(text) ? text : undefined;
}
