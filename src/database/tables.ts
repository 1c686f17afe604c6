import type { Generated } from 'kysely';
import type { ChannelId, TenantId } from '../model/channel.js';
import type { JobKind } from '../model/job-kind.js';
import type { MediaId, MediaStatus } from '../model/media.js';

/**
 * The types of the tables' columns, as both databases return them. `migrations/` documents the columns.
 * `catalogue/media/media-columns.ts` declares `media`, beside the list of its columns.
 */
export interface Tables {
  media_changes: MediaChangesTable;
  message_listings: MessageListingsTable;
  webhook_events: WebhookEventsTable;
  signing_keys: SigningKeysTable;
  failed_uploads: FailedUploadsTable;
  upload_keys: UploadKeysTable;
  quotas: QuotasTable;
  channel_facts: ChannelFactsTable;
  error_budgets: ErrorBudgetsTable;
  jobs: JobsTable;
  paused_jobs: PausedJobsTable;
  request_counts: RequestCountsTable;
}

/** The log of changes, which triggers write. */
interface MediaChangesTable {
  /** The id of the transaction, an `xid8`, which is returned as text. */
  xid: Generated<string>;
  id: Generated<number>;
  tenant: TenantId;
  /** Empty for a change of the message's listing. */
  media_id: MediaId;
  channel_id: ChannelId;
  provider_message_id: string;
  status: MediaStatus;
  at: Generated<Date>;
  /** Whether the media is new or its status changed. */
  is_status: Generated<boolean>;
}

interface MessageListingsTable {
  tenant: TenantId;
  channel_id: ChannelId;
  provider_message_id: string;
  listed_at: Date;
  media_count: number;
  first_seen_at: Date;
}

interface WebhookEventsTable {
  id: Generated<number>;
  tenant: TenantId;
  channel_id: ChannelId;
  dedupe_key: string;
  content_type: string;
  raw_body: Buffer;
  received_at: Date;
  state: Generated<'due' | 'done' | 'dead'>;
  /** Written when the event is processed or a dead letter. Until then its job counts the attempts. */
  attempts: Generated<number>;
  last_error: string | null;
}

interface SigningKeysTable {
  id: string;
  secret: string;
  created_at: Date;
}

interface FailedUploadsTable {
  tenant: TenantId;
  media_id: MediaId;
  source_url: string;
  filename: string | null;
  mime_type: string | null;
  failed_at: Date;
}

interface UploadKeysTable {
  tenant: TenantId;
  key: string;
  input_sha256: string;
  media_id: MediaId;
  created_at: Date;
}

interface QuotasTable {
  name: string;
  taken: Date[];
}

interface ChannelFactsTable {
  channel_id: ChannelId;
  fact: string;
  value: string;
  valid_until: Date;
}

interface ErrorBudgetsTable {
  name: string;
  errors: Date[];
  holds: Readonly<Record<string, number>>;
}

export interface JobsTable {
  id: Generated<number>;
  kind: JobKind;
  tenant: TenantId;
  key: string;
  channel_id: ChannelId | null;
  state: Generated<'open' | 'dead'>;
  /** `infinity` is returned as a number. */
  rank: Generated<Date | number>;
  due_at: Date;
  waits: boolean;
  since: Date;
  attempts: Generated<number>;
  payload: unknown;
  last_error: Generated<string | null>;
  lease_owner: Generated<string | null>;
  lease_until: Generated<Date | null>;
  lease_alone: Generated<boolean>;
  suspect: Generated<boolean>;
  interruptions: Generated<number>;
  deaths: Generated<number>;
}

interface PausedJobsTable {
  kind: JobKind;
  since: Date;
}

interface RequestCountsTable {
  tenant: TenantId;
  times: number[];
  counts: number[];
  granted: number;
  drawn_at: number;
}
