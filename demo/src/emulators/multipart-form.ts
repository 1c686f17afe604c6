/** One part of `multipart/form-data`. A part with a file name is a file. */
export type FormPart = string | FormFile;

export interface FormFile {
  readonly filename: string;
  /** The part's own `Content-Type` in lower case, with parameters. */
  readonly type: string;
  readonly bytes: Buffer;
}

/** The parts by name. Of several parts with one name the last one counts. Null: the body is no complete form. */
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
