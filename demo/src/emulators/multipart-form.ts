/** One part of `multipart/form-data`; a part is a file if it bears a file name. */
export type FormPart = string | FormFile;

export interface FormFile {
  readonly filename: string;
  /** As the part's own header has it, lower-case, parameters included. */
  readonly type: string;
  readonly bytes: Buffer;
}

/** The parts by name, the last of those that share one; null for a body that is no whole form. */
export async function readForm(
  body: Buffer,
  contentType: string | undefined,
): Promise<ReadonlyMap<string, FormPart> | null> {
  if (!contentType?.startsWith('multipart/form-data')) return null;
  let form: FormData;
  try {
    form = await new Response(new Uint8Array(body), { headers: { 'content-type': contentType } }).formData();
  } catch {
    return null;
  }
  const parts = new Map<string, FormPart>();
  for (const [name, value] of form.entries()) {
    parts.set(name, typeof value === 'string' ? value : await fileOf(value));
  }
  return parts;
}

async function fileOf(file: File): Promise<FormFile> {
  return { filename: file.name, type: file.type, bytes: Buffer.from(await file.arrayBuffer()) };
}
