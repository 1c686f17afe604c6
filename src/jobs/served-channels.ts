import { type RawBuilder, sql } from 'kysely';
import type { JobKind } from '../model/job-kind.js';
import type { JobChannel } from './job-handler.js';

/** A kind of jobs, perhaps of some channels only. */
export interface KindOfChannels {
  readonly kind: JobKind;
  /** Jobs of these channels, and jobs without a channel; absent: all. */
  readonly channels?: readonly JobChannel[];
}

/** The distinct lists of channels. Several kinds have the same one. */
function listsOf(kinds: readonly KindOfChannels[]): ReadonlyArray<readonly JobChannel[]> {
  return [...new Set(kinds.flatMap(({ channels }) => (channels ? [channels] : [])))];
}

/** The channels of every list, as the query `served`. */
export function servedChannels(kinds: readonly KindOfChannels[]): RawBuilder<unknown> {
  const served = listsOf(kinds).flatMap((channels, list) => channels.map(({ tenant, id }) => ({ list, tenant, id })));
  return sql`served as (
    select * from unnest(${served.map(({ list }) => list)}::integer[], ${served.map(({ tenant }) => tenant)}::text[],
      ${served.map(({ id }) => id)}::text[]) as served (list, tenant, channel_id)
  )`;
}

/** Whether a job of one of these kinds concerns a channel of the kind's list, which {@link servedChannels} selects. */
export function isServed(kinds: readonly KindOfChannels[]): RawBuilder<unknown> {
  const conditions = listsOf(kinds).map((channels, list) => {
    const ofList = kinds.filter((kind) => kind.channels === channels).map(({ kind }) => kind);
    return sql`(jobs.kind <> all(${ofList}::text[]) or channel_id is null
      or (tenant, channel_id) in (select tenant, channel_id from served where list = ${list}))`;
  });
  return conditions.length === 0 ? sql`true` : sql.join(conditions, sql` and `);
}
