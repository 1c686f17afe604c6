import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { UrlSigner } from '../../src/links/signed-url.js';
import { type MediaData, SECRETS, type TestBed } from './test-bed.js';

const UPLOAD = `mutation($input: UploadMediaFromUrlInput!) { uploadMediaFromUrl(input: $input) { media {
  id status kind mimeType sizeBytes sha256 filename url providerMediaId } } }`;
const STATUS = 'query($id: ID!) { media(id: $id) { status url } }';
const LINK_MS = 60 * 60 * 1000;
/** The statuses of a link to FAILED media: the source's fault, or its silence. */
const LINK_FAULTS = [502, 504];

export interface UploadedData extends MediaData {
  readonly sha256: string;
}

interface UploadPayload {
  readonly uploadMediaFromUrl: { readonly media: UploadedData } | null;
}

/** How a mutation ended: with a media, or with one coded error. */
export interface Attempt {
  readonly media: UploadedData | null;
  readonly code: string | null;
  readonly message: string | null;
  readonly extensions: Readonly<Record<string, unknown>>;
  /** The answer as it came. */
  readonly text: string;
}

/** One `uploadMediaFromUrl`, to channel `wa` unless the input says another. */
export async function attempt(bed: TestBed, input: Readonly<Record<string, unknown>>): Promise<Attempt> {
  const { data, errors, text } = await bed.query<UploadPayload>(UPLOAD, { input: { channelId: 'wa', ...input } });
  const [fault, ...more] = errors;
  if (more.length > 0) throw new Error(`expected one error, got ${text}`);
  return {
    media: data?.uploadMediaFromUrl?.media ?? null,
    code: fault?.extensions.code ?? null,
    message: fault?.message ?? null,
    extensions: fault?.extensions ?? {},
    text,
  };
}

/** The media of an attempt that was to succeed. */
export async function uploadedBy(bed: TestBed, input: Readonly<Record<string, unknown>>): Promise<UploadedData> {
  const { media, text } = await attempt(bed, input);
  if (media?.status !== 'READY') throw new Error(`expected an upload that is READY, got ${text}`);
  return media;
}

/** What uploads leave behind from now on. */
interface UploadWatch {
  /** The media that failed, as the log names them, in order: the error of a mutation names none. */
  failed(): string[];
  /** What is wrong with them: a status, a link that opens, bytes in the store, half written or whole; [] is as it should be. */
  leftBehind(): Promise<string[]>;
}

/** For tests in which every upload fails: any new file in the store is too much. */
export async function watchUploads(bed: TestBed): Promise<UploadWatch> {
  const linesBefore = bed.logLines.length;
  const filesBefore = new Set(await storedFiles(bed));
  const failed = () => failuresIn(bed.logLines.slice(linesBefore));
  return {
    failed,
    leftBehind: async () => {
      const files = (await storedFiles(bed)).filter((file) => !filesBefore.has(file));
      const faults = await Promise.all(failed().map((id) => faultsOf(bed, id)));
      return [...faults.flat(), ...files.map((file) => `a file ${file}`)];
    },
  };
}

function failuresIn(lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    const { msg, media }: { msg?: string; media?: string } = JSON.parse(line);
    return msg === 'an upload failed' && media !== undefined ? [media] : [];
  });
}

async function faultsOf(bed: TestBed, id: string): Promise<string[]> {
  const { data } = await bed.query<{ readonly media: Pick<MediaData, 'status' | 'url'> | null }>(STATUS, { id });
  const keys = [{ id: 'k1', secret: SECRETS.signingSecret }];
  const urls = new UrlSigner({ keys, baseUrl: () => bed.app.url, ttlMs: LINK_MS });
  const expiresAt = urls.expiry(Date.now());
  const link = urls.sign({ mediaId: id, filename: 'x.jpg', disposition: 'inline', expiresAt });
  const { status } = await bed.get(link);
  return [
    ...(data?.media?.status === 'FAILED' ? [] : [`status ${data?.media?.status} of ${id}`]),
    ...(data?.media?.url === null ? [] : [`a URL of ${id}`]),
    ...(LINK_FAULTS.includes(status) ? [] : [`status ${status} from a link to ${id}`]),
  ];
}

/** All files of a bed's blob store, temporary ones too, by their paths in it. */
async function storedFiles({ config }: TestBed): Promise<string[]> {
  const { root } = config.storage;
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => relative(root, join(entry.parentPath, entry.name)));
}
