import type { ChannelId, ProviderName, TenantId } from '../../model/channel.js';
import type { ErrorCode } from '../../model/errors.js';
import type {
  DeletionScope,
  MediaDetails,
  MediaDirection,
  MediaId,
  MediaKind,
  MediaMeasures,
  MediaStatus,
  MessageMedia,
} from '../../model/media.js';
import { EARLIER, FAILS_WITH, MEASURED, NEWER, RULES, UNKNOWN_POSITION, WAITS } from './recording-rules.js';

/** A media as a listing or a webhook reports it. */
export interface Reported {
  readonly media: MessageMedia;
  /** Among the media of its message, or {@link UNKNOWN_POSITION}. */
  readonly position: number;
  /** When it is to be forgotten; null = when it is deleted. */
  readonly retainedUntil: Date | null;
  /** Whether it gets a job that copies it, unless its bytes are here. */
  readonly isToCopy: boolean;
}

export type ColumnType = 'text' | 'boolean' | 'integer' | 'bigint' | 'float8' | 'timestamptz';

/**
 * What the statements and the mapping need to know of a column. A fact about media is one entry of `MEDIA_COLUMNS`,
 * one migration, and the field that shows it.
 */
interface Definition<Value> {
  readonly type: ColumnType;
  /** The property of `CataloguedMedia` that has the value as it is. */
  readonly media?: string;
  /** The property of `MediaMeasures` that has the value. */
  readonly measure?: keyof MediaMeasures;
  /** `media-rows.ts` makes another property from it, alone or together with other columns. */
  readonly isComposed?: true;
  /** What a listing or a webhook reports. */
  readonly reported?: (reported: Reported) => Value;
  /** SQL of the value in a new row, where it is not the reported one: from the rows `told` and `recording`. */
  readonly recorded?: string;
  /** SQL of the value after a repeated recording, made of the rows `media` and `excluded`; absent: the row's value stays. */
  readonly repeated?: string | ((column: string) => string);
  /** The property of a provider's description that fills it in where it is null. */
  readonly describes?: keyof MediaDetails;
  /** It holds what was read from bytes, or where they are. A row whose bytes are gone keeps nothing of it. */
  readonly isOfBytes?: true;
  /** It was reported and says something about the bytes. A row of media that has ended does not keep it. */
  readonly endsWithMedia?: true;
}

declare const VALUE: unique symbol;
interface Typed<Value> {
  /** For the compiler alone. */
  readonly [VALUE]?: { readonly value: Value };
}

function column<Value>() {
  return <const Column extends Definition<Value>>(definition: Column): Column & Typed<Value> => definition;
}

/** The one list of the columns of `media`. Those that only migrations and earlier versions know are absent. */
const MEDIA_COLUMNS = {
  tenant: column<TenantId>()({ type: 'text', media: 'tenant', recorded: 'recording.tenant' }),
  id: column<MediaId>()({ type: 'text', media: 'id', reported: ({ media }) => media.id }),
  channel_id: column<ChannelId>()({ type: 'text', media: 'channelId', reported: ({ media }) => media.channelId }),
  provider: column<ProviderName>()({ type: 'text', media: 'provider', reported: ({ media }) => media.provider }),
  provider_message_id: column<string | null>()({
    type: 'text',
    media: 'providerMessageId',
    reported: ({ media }) => media.providerMessageId,
  }),
  position: column<number>()({ type: 'integer', reported: ({ position }) => position, repeated: RULES.position }),
  provider_media_id: column<string | null>()({
    type: 'text',
    media: 'providerMediaId',
    reported: ({ media }) => media.providerMediaId,
    repeated: NEWER,
  }),
  download_url: column<string | null>()({
    type: 'text',
    media: 'downloadUrl',
    reported: ({ media }) => media.downloadUrl,
    repeated: NEWER,
  }),
  /** Its provider was asked for details; those that are still null, it does not know. */
  described: column<boolean>()({ type: 'boolean', media: 'described' }),
  status: column<MediaStatus>()({
    type: 'text',
    media: 'status',
    reported: ({ media }) => media.status,
    recorded: `case when ${WAITS} then 'PENDING' else told.status end`,
    repeated: RULES.status,
  }),
  kind: column<MediaKind | null>()({
    type: 'text',
    media: 'kind',
    reported: ({ media }) => media.kind,
    repeated: MEASURED,
    describes: 'kind',
  }),
  mime_type: column<string | null>()({
    type: 'text',
    media: 'mimeType',
    reported: ({ media }) => media.mimeType,
    repeated: MEASURED,
    describes: 'mimeType',
  }),
  // A claim about the bytes is replaced by what was read, and goes with it, as does the next one.
  size_bytes: column<number | null>()({
    type: 'bigint',
    media: 'sizeBytes',
    reported: ({ media }) => media.sizeBytes,
    repeated: MEASURED,
    describes: 'sizeBytes',
    isOfBytes: true,
  }),
  sha256: column<string | null>()({
    type: 'text',
    media: 'sha256',
    reported: ({ media }) => media.sha256,
    repeated: MEASURED,
    describes: 'sha256',
    isOfBytes: true,
  }),
  /** The digest that the provider reported, whatever was read from the bytes: a copy in place of lost bytes must have it. */
  announced_sha256: column<string | null>()({
    type: 'text',
    reported: ({ media }) => media.sha256,
    repeated: NEWER,
    describes: 'sha256',
    endsWithMedia: true,
  }),
  filename: column<string | null>()({
    type: 'text',
    media: 'filename',
    reported: ({ media }) => media.filename,
    repeated: NEWER,
    describes: 'filename',
  }),
  caption: column<string | null>()({
    type: 'text',
    media: 'caption',
    reported: ({ media }) => media.caption,
    repeated: NEWER,
    describes: 'caption',
  }),
  voice: column<boolean | null>()({
    type: 'boolean',
    media: 'voice',
    reported: ({ media }) => media.voice ?? null,
    repeated: NEWER,
  }),
  contact: column<string | null>()({
    type: 'text',
    media: 'contact',
    reported: ({ media }) => media.contact ?? null,
    repeated: NEWER,
  }),
  direction: column<MediaDirection | null>()({
    type: 'text',
    media: 'direction',
    reported: ({ media }) => media.direction ?? null,
    repeated: NEWER,
  }),
  created_at: column<Date | null>()({
    type: 'timestamptz',
    media: 'createdAt',
    reported: ({ media }) => media.createdAt,
    repeated: NEWER,
  }),
  available_until: column<Date | null>()({
    type: 'timestamptz',
    media: 'availableUntil',
    reported: ({ media }) => media.availableUntil,
    repeated: NEWER,
  }),
  // A question that is asked again must not prolong a retention.
  expires_at: column<Date | null>()({
    type: 'timestamptz',
    isComposed: true,
    reported: ({ retainedUntil }) => retainedUntil,
    repeated: EARLIER,
  }),
  recorded_at: column<Date>()({ type: 'timestamptz', recorded: 'recording.now' }),
  /** When the row last changed. A repeated recording writes it itself, where another column changes. */
  updated_at: column<Date>()({ type: 'timestamptz', media: 'updatedAt', recorded: 'recording.now' }),
  /** A webhook announced it; otherwise it is known from listings alone. */
  announced: column<boolean>()({
    type: 'boolean',
    media: 'announced',
    recorded: 'recording.announced',
    repeated: 'media.announced or excluded.announced',
  }),
  /** A caller uploaded it through this server: its provider may know it by another name, or not at all. */
  uploaded: column<boolean>()({ type: 'boolean', media: 'uploaded' }),
  was_ready: column<boolean>()({
    type: 'boolean',
    isComposed: true,
    recorded: `told.status = 'READY' and not ${WAITS}`,
    repeated: "media.was_ready or media.status = 'READY' or excluded.was_ready",
  }),
  failure_code: column<ErrorCode | null>()({
    type: 'text',
    isComposed: true,
    reported: ({ media }) => media.fault?.code ?? null,
    repeated: FAILS_WITH,
  }),
  failure_reason: column<string | null>()({
    type: 'text',
    isComposed: true,
    reported: ({ media }) => media.fault?.message ?? null,
    repeated: FAILS_WITH,
  }),
  failure_retryable: column<boolean | null>()({
    type: 'boolean',
    isComposed: true,
    reported: ({ media }) => media.fault?.retryable ?? null,
    repeated: FAILS_WITH,
  }),
  failed_at: column<Date | null>()({
    type: 'timestamptz',
    isComposed: true,
    recorded: "case when told.status = 'FAILED' then recording.now end",
    repeated: RULES.failedAt,
  }),
  /** `open`: a job of kind `copy` is open for it. */
  mirror_state: column<'open' | 'done' | 'failed' | null>()({
    type: 'text',
    isComposed: true,
    reported: ({ isToCopy }) => (isToCopy ? 'open' : null),
    repeated: RULES.mirrorState,
  }),
  /** When its sender withdrew it. */
  revoked_at: column<Date | null>()({ type: 'timestamptz', media: 'revokedAt' }),
  /** Where a deletion took effect; null where the media is not deleted. */
  deletion_scope: column<DeletionScope | null>()({ type: 'text', media: 'deletionScope' }),
  buried: column<boolean>()({ type: 'boolean' }),
  blob_key: column<string | null>()({ type: 'text', isComposed: true, isOfBytes: true }),
  stored_at: column<Date | null>()({ type: 'timestamptz', isComposed: true, isOfBytes: true }),
  stored_size_bytes: column<number | null>()({ type: 'bigint', isComposed: true, isOfBytes: true }),
  stored_sha256: column<string | null>()({ type: 'text', isComposed: true, isOfBytes: true }),
  stored_mime_type: column<string | null>()({ type: 'text', isComposed: true, isOfBytes: true }),
  width: column<number | null>()({ type: 'integer', measure: 'width', isOfBytes: true }),
  height: column<number | null>()({ type: 'integer', measure: 'height', isOfBytes: true }),
  duration_seconds: column<number | null>()({ type: 'float8', measure: 'durationSeconds', isOfBytes: true }),
  thumb_hash: column<string | null>()({ type: 'text', measure: 'thumbHash', isOfBytes: true }),
  page_count: column<number | null>()({ type: 'integer', measure: 'pageCount', isOfBytes: true }),
  has_still: column<boolean | null>()({ type: 'boolean', measure: 'still', isOfBytes: true }),
};

/** The list, for what is derived from it. */
export const COLUMN_LIST: ReadonlyArray<readonly [column: string, definition: Definition<unknown>]> =
  Object.entries(MEDIA_COLUMNS);

type Columns = typeof MEDIA_COLUMNS;
export type MediaColumn = keyof Columns;

type ValueOf<Column> = Column extends Typed<infer Value> ? Value : never;
/** The names of the columns whose entries have a member. */
type WithMember<Member extends string> = {
  [Name in MediaColumn]: Columns[Name] extends Readonly<Record<Member, unknown>> ? Name : never;
}[MediaColumn];

/** A row of `media`, as both engines answer it. */
export type MediaRow = { readonly [Name in MediaColumn]: ValueOf<Columns[Name]> };
/** What a statement writes: columns by name. Those whose value is undefined stay as they are. */
export type MediaChanges = { readonly [Name in MediaColumn]?: MediaRow[Name] | undefined };
/** The columns of bytes that are no measures. */
export type ColumnOfBytes = Exclude<WithMember<'isOfBytes'>, WithMember<'measure'>>;
/** The columns that are read. Every column that is sent and parsed has its price. */
export type CataloguedRow = Pick<MediaRow, WithMember<'media'> | WithMember<'measure'> | WithMember<'isComposed'>>;

type PropertiesOf<Member extends 'media' | 'measure'> = {
  readonly [Name in MediaColumn as Columns[Name] extends { readonly [_ in Member]: infer Property extends string }
    ? Property
    : never]: ValueOf<Columns[Name]>;
};
/** The properties of a media that are columns as they are. */
export type ColumnFacts = PropertiesOf<'media'>;
export type ColumnMeasures = PropertiesOf<'measure'>;

declare module '../../database/tables.js' {
  interface Tables {
    media: MediaRow;
  }
}
