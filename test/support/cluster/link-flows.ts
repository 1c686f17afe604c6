import { type LedgerItem, nameOf } from './ledger.js';
import { type LoadContext, persist, pick, someWay } from './load.js';
import { photoBytes, sha256Of } from './photos.js';
import { type Answered, isPassing, type Way } from './request-log.js';

/** First and last byte. */
type Range = readonly [number, number];

/** Someone opens a link that an answer had, in part or whole. */
export async function openLink(context: LoadContext): Promise<void> {
  const { chance } = context;
  const way = someWay(context);
  const isPart = chance.next() < 0.4;
  const [from, length] = [chance.next(), chance.next()];
  const item = pick(context, ({ link }) => link !== null);
  if (!item) return;
  const size = photoBytes(item.index).length;
  const start = Math.floor(from * size);
  const range: Range | null = isPart ? [start, start + Math.floor(length * (size - start))] : null;
  await persist(context, item, `the link by ${way.name}`, () => open(context, way, item, range));
}

/** Opens a link once. @returns null where the failure may pass; else whether the bytes came */
export async function open(
  { requests, ledger }: Pick<LoadContext, 'requests' | 'ledger'>,
  way: Way,
  item: LedgerItem,
  range: Range | null = null,
): Promise<boolean | null> {
  if (item.link === null) throw new Error(`expected a link of ${nameOf(item)}`);
  const { pathname, search } = new URL(item.link);
  const headers: Record<string, string> = range ? { range: `bytes=${range[0]}-${range[1]}` } : {};
  const wasDeleted = item.deletedAt !== null;
  const kind = range ? 'range' : 'link';
  // Of a media that is being deleted, the bytes may be gone at the provider already.
  const isLeaving = () => item.deletionBegunAt !== null;
  const answered = await requests.send(kind, way, pathname + search, { headers }, isLeaving);
  if (!answered || isPassing(answered.status)) return null;
  const fault = faultOf(item, answered, range, wasDeleted);
  if (fault !== null) ledger.violate(`the link of ${nameOf(item)} by ${way.name} ${fault}`);
  return answered.status < 300;
}

/** What is wrong with a complete answer; null: nothing. */
function faultOf(
  item: LedgerItem,
  { status, bytes }: Answered,
  range: Range | null,
  wasDeleted: boolean,
): string | null {
  const isGone = status === 404 || status === 410;
  if (isGone && item.deletionBegunAt !== null) return null;
  if (wasDeleted) return `answered ${status} after its deletion`;
  if (status !== (range ? 206 : 200)) return `answered ${status}: ${bytes.toString().slice(0, 300)}`;
  const whole = photoBytes(item.index);
  const expected = range ? whole.subarray(range[0], range[1] + 1) : whole;
  return bytes.equals(expected) ? null : `had bytes with the digest ${sha256Of(bytes)}, of ${bytes.length} bytes`;
}
