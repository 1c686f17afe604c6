import type { Recovery } from '../../catalogue/stored-media.js';
import type { ChannelId, TenantId } from '../../model/channel.js';
import { decodeMediaId } from '../../model/ids.js';
import type { Media } from '../../model/media.js';
import type { Leftover } from '../../storage/blob-store.js';
import type { Orphan } from '../orphans.js';

/** What is wrong with the bytes that a row names. */
export type ByteFault = 'missing' | 'size' | 'digest';

/**
 * What a comparison of rows and blobs found. `orphan`: a blob that no row names. `unfinished`: a half-written file whose
 * process is gone.
 */
export type Problem = ByteFault | 'orphan' | 'unfinished';

/**
 * What was done. `none`: nothing, and the finding remains. `copied`, `failed`, `expired`: see {@link Recovery}. `removed`: the
 * blob or file was removed.
 */
export type Outcome = 'none' | Exclude<Recovery, 'unchanged'> | 'removed';

export interface Finding {
  /** The id of the media; for `unfinished` the name of the file. */
  readonly id: string;
  readonly problem: Problem;
  readonly outcome: Outcome;
  /** Null where the key or the file does not tell. */
  readonly tenant: TenantId | null;
  readonly channelId: ChannelId | null;
  /** Null for `unfinished`. */
  readonly key: string | null;
  /** For the operator. */
  readonly message: string;
}

const PROBLEMS: Readonly<Record<Problem, string>> = {
  missing: 'the store has no blob of this name',
  size: 'the blob has another size than its row',
  digest: 'the blob has another SHA-256 digest than its row',
  orphan: 'no row names this blob',
  unfinished: 'a process that is gone did not finish this file',
};

const OUTCOMES: Readonly<Record<Outcome, string | null>> = {
  none: null,
  copied: 'it is copied from its provider again',
  failed: 'no provider has these bytes; the upload is FAILED',
  expired: 'its provider no longer keeps these bytes; the media is EXPIRED',
  removed: 'it was removed',
};

type Described = Omit<Finding, 'message'>;

export function mediaFinding(
  { tenant, id, channelId }: Pick<Media, 'tenant' | 'id' | 'channelId'>,
  found: Pick<Finding, 'problem' | 'outcome' | 'key'>,
  advice: string | null = null,
): Finding {
  return described({ id, ...found, tenant, channelId }, advice);
}

export function orphanFinding({ key, tenant, id }: Orphan, isRemoved: boolean): Finding {
  const channelId = decodeMediaId(id)?.channelId ?? null;
  return described({ id, problem: 'orphan', outcome: isRemoved ? 'removed' : 'none', tenant, channelId, key });
}

export function leftoverFinding({ name }: Leftover, isRemoved: boolean): Finding {
  const outcome = isRemoved ? 'removed' : 'none';
  return described({ id: name, problem: 'unfinished', outcome, tenant: null, channelId: null, key: null });
}

function described(finding: Described, advice: string | null = null): Finding {
  const parts = [PROBLEMS[finding.problem], OUTCOMES[finding.outcome], advice].filter((part) => part !== null);
  return { ...finding, message: parts.join('; ') };
}
