const MEGABYTE = 1_000_000;
const OFFICE = 'application/vnd.openxmlformats-officedocument';

/**
 * The types that Meta accepts, with their limits (Cloud API, "Media", "Supported media types"). `audio/opus` is
 * accepted, but fails when sent.
 */
const LIMITS: Readonly<Record<string, number>> = {
  'audio/aac': 16 * MEGABYTE,
  'audio/mp4': 16 * MEGABYTE,
  'audio/mpeg': 16 * MEGABYTE,
  'audio/amr': 16 * MEGABYTE,
  'audio/ogg': 16 * MEGABYTE,
  'audio/opus': 16 * MEGABYTE,
  'application/vnd.ms-powerpoint': 100 * MEGABYTE,
  'application/msword': 100 * MEGABYTE,
  [`${OFFICE}.wordprocessingml.document`]: 100 * MEGABYTE,
  [`${OFFICE}.presentationml.presentation`]: 100 * MEGABYTE,
  [`${OFFICE}.spreadsheetml.sheet`]: 100 * MEGABYTE,
  'application/vnd.ms-excel': 100 * MEGABYTE,
  'application/pdf': 100 * MEGABYTE,
  'text/plain': 100 * MEGABYTE,
  'image/jpeg': 5 * MEGABYTE,
  'image/png': 5 * MEGABYTE,
  'image/webp': 500_000,
  'video/mp4': 16 * MEGABYTE,
  'video/3gpp': 16 * MEGABYTE,
};

/** The size limit in bytes. Null: the type is not accepted. No type with parameters is. */
export function uploadLimitOf(type: string): number | null {
  return LIMITS[type] ?? null;
}

/** Meta's message for a type that it does not accept. Its partners pass the message on. */
export function fileTypeRefusal(type: string): string {
  return `(#100) Param file must be a file with one of the following types: ${Object.keys(LIMITS).join(', ')}. Received file of type '${type}'.`;
}
