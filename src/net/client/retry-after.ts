/**
 * Parses `Retry-After` (RFC 9110 section 10.2.3): whole seconds or an HTTP date. Returns null for an absent or invalid
 * value, never a negative number.
 */
export function retryAfterMs(header: string | string[] | undefined, nowMs: number): number | null {
  const value = (Array.isArray(header) ? header[0] : header)?.trim();
  if (!value) return null;
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - nowMs);
}
