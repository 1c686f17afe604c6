import { isProviderMessageId } from '../../model/ids.js';
import type { MediaDirection, MediaFault, MediaKind, ProviderMedia } from '../../model/media.js';
import type { WebhookEvent, WebhookFault, WebhookItem } from '../provider-adapter.js';
import { isMediaId } from '../toolkit/meta-media.js';
import {
  announcedMedia,
  captionOf,
  dateOfUnixTime,
  kindOfMessageType,
  type MediaAnnouncement,
  whatsappContact,
  whatsappKeepsUntil,
} from './announced-media.js';
import { objectOf, shapeAt } from './body.js';
import { BAD_MESSAGE_ID, partFault, type WebhookFaults } from './faults.js';
import { JsonList, JsonObject, type JsonPart } from './json-walk.js';
import { isMetaFailure, metaFailure, PLACEHOLDER_FAULT } from './meta-errors.js';

type Fields = ReadonlyMap<string, JsonPart>;

const BODY = ['object', 'entry'];
const ENTRY = ['changes'];
const CHANGE = ['field', 'value'];
const VALUE = ['metadata', 'contacts', 'messages', 'message_echoes', 'smb_message_echoes', 'history'];
const METADATA = ['phone_number_id', 'display_phone_number'];
const CONTACT = ['wa_id', 'user_id'];
const CHUNK = ['threads'];
const THREAD = ['id', 'messages'];
const META_TYPES = ['image', 'video', 'audio', 'document', 'sticker'];
const MESSAGE = [
  ...['id', 'from', 'from_user_id', 'to', 'to_user_id', 'timestamp', 'type', 'errors', 'unsupported', 'edit', 'revoke'],
  ...META_TYPES,
];
const MEDIA = ['id', 'url', 'mime_type', 'sha256', 'filename', 'caption', 'voice'];
const EDIT = ['original_message_id', 'message'];
const EDITED = [...META_TYPES, 'text', 'caption'];

/** The webhook fields that carry messages. Other fields concern templates, accounts, calls … */
const MESSAGE_FIELDS: ReadonlySet<string> = new Set(['messages', 'smb_message_echoes', 'message_echoes', 'history']);

/** A media in Meta's body, before the provider that forwarded the body adds its own location. */
export interface MetaMedia {
  readonly type: 'metaMedia';
  readonly messageId: string;
  /** null = the message has no media id to fetch by. */
  readonly mediaId: string | null;
  /** Meta's URL; Gupshup replaces it with its own. */
  readonly url: JsonPart | undefined;
  /** All fields except ids and addresses, which depend on the provider. */
  readonly announcement: Omit<MediaAnnouncement, 'providerMessageId' | 'providerMediaId' | 'downloadUrl'>;
}

export type MetaItem = MetaMedia | Exclude<WebhookEvent, { type: 'mediaAnnounced' }> | WebhookFault | null;

export interface MetaBodyOptions {
  /** Only events of this number count; absent means events of all numbers. */
  readonly phoneNumberId?: string | undefined;
  /** The time of arrival. */
  readonly now: Date;
}

/**
 * Parses the body of Meta's webhooks. Chakra and Kirim forward it unchanged, and Gupshup's version 3 extends it. It
 * yields the messages of all changes of all entries in their order, including the business's own (`smb_message_echoes`)
 * and older ones (`history`).
 *
 * Every field that one of the four providers omits is optional. An element of an unknown shape is no fault if it may be
 * unrelated to media. Sources: developers.facebook.com, WhatsApp webhooks, references of `messages` (edit, revoke,
 * unsupported, errors), `smb_message_echoes` and `history`.
 * @throws MediagraphError PROVIDER_PROTOCOL if the body as a whole is not Meta's
 */
export function readMetaBody(body: JsonPart, faults: WebhookFaults, options: MetaBodyOptions): Iterable<MetaItem> {
  const fields = objectOf(body, '(root)', faults).pick(BODY);
  const entries = fields.get('entry');
  if (typeof fields.get('object') !== 'string') throw faults.protocol(shapeAt('object'));
  if (!(entries instanceof JsonList)) throw faults.protocol(shapeAt('entry'));
  return fields.get('object') === 'whatsapp_business_account' ? messagesIn(entries, options) : [];
}

/** Wraps a single media in an event. */
export function announcementOf(media: ProviderMedia): WebhookEvent {
  return { type: 'mediaAnnounced', providerMessageId: media.providerMessageId, media: [media] };
}

/** Maps a media of Meta's body to the forwarding provider's location of it, or to a fault if it cannot be fetched. */
export type MetaLocator = (
  media: MetaMedia,
) => Pick<MediaAnnouncement, 'providerMediaId' | 'downloadUrl'> | WebhookFault;

/** Turns every media into an event with its location. */
export function* toEvents(items: Iterable<MetaItem>, locate: MetaLocator): Iterable<WebhookItem> {
  for (const item of items) {
    if (item?.type !== 'metaMedia') {
      yield item;
      continue;
    }
    const location = locate(item);
    if ('type' in location) yield location;
    else yield announcementOf(announcedMedia({ ...item.announcement, providerMessageId: item.messageId, ...location }));
  }
}

/** The context of all messages of a change. */
interface Conversation {
  readonly field: string;
  /** The business's own number in the form of a contact; null = not stated. */
  readonly business: string | null;
  /** The contact, if `contacts` has exactly one. */
  readonly soleContact: string | null;
  readonly now: Date;
}

interface Position extends Conversation {
  readonly isEcho: boolean;
  /** The contact of a history's thread. */
  readonly thread: string | null;
}

const ENTRY_FAULT = partFault(shapeAt('entry.changes'));
const CHANGE_FAULT = partFault(shapeAt('changes'));
const VALUE_FAULT = partFault(shapeAt('changes.value'));
const MESSAGE_FAULT = partFault(shapeAt('messages'));
const MEDIA_FAULT = partFault(shapeAt('messages.media'));
const HISTORY_FAULT = partFault(shapeAt('history'));

function* messagesIn(entries: JsonList, options: MetaBodyOptions): Generator<MetaItem> {
  for (const entry of entries) {
    const changes = entry instanceof JsonObject ? entry.pick(ENTRY).get('changes') : undefined;
    if (!(changes instanceof JsonList)) {
      yield ENTRY_FAULT;
      continue;
    }
    for (const change of changes) {
      if (change instanceof JsonObject) yield* changeOf(change.pick(CHANGE), options);
      else yield CHANGE_FAULT;
    }
  }
}

function* changeOf(change: Fields, { phoneNumberId, now }: MetaBodyOptions): Generator<MetaItem> {
  const field = change.get('field') ?? 'messages';
  const value = change.get('value') ?? null;
  if (typeof field !== 'string') return yield CHANGE_FAULT;
  if (!MESSAGE_FIELDS.has(field) || value === null) return yield null;
  if (!(value instanceof JsonObject)) return yield VALUE_FAULT;
  const fields = value.pick(VALUE);
  const metadata = fieldsOf(fields.get('metadata'), METADATA);
  const number = metadata.get('phone_number_id');
  if (phoneNumberId !== undefined && typeof number === 'string' && number !== phoneNumberId) return yield null;
  const conversation: Conversation = {
    field,
    business: digitsOf(metadata.get('display_phone_number')),
    soleContact: soleContactOf(fields.get('contacts')),
    now,
  };
  const inField = field === 'smb_message_echoes' || field === 'message_echoes';
  yield* messagesOf(fields.get('messages'), { ...conversation, isEcho: inField, thread: null });
  for (const name of ['message_echoes', 'smb_message_echoes'])
    yield* messagesOf(fields.get(name), { ...conversation, isEcho: true, thread: null });
  yield* historyOf(fields.get('history'), conversation);
}

function* messagesOf(messages: JsonPart | undefined, position: Position): Generator<MetaItem> {
  if (messages === undefined) return;
  if (!(messages instanceof JsonList)) return yield VALUE_FAULT;
  for (const message of messages) yield messageOf(message, position);
}

// A history consists of chunks of threads of messages. A chunk without threads means that the business does not share
// its history.
function* historyOf(history: JsonPart | undefined, conversation: Conversation): Generator<MetaItem> {
  if (history === undefined) return;
  if (!(history instanceof JsonList)) return yield VALUE_FAULT;
  for (const chunk of history) {
    const threads = fieldsOf(chunk, CHUNK).get('threads');
    if (!(threads instanceof JsonList)) {
      yield chunk instanceof JsonObject ? null : HISTORY_FAULT;
      continue;
    }
    for (const thread of threads) {
      const fields = fieldsOf(thread, THREAD);
      yield thread instanceof JsonObject ? null : HISTORY_FAULT;
      const id = whatsappContact(fields.get('id'));
      yield* messagesOf(fields.get('messages'), { ...conversation, field: 'history', isEcho: false, thread: id });
    }
  }
}

function messageOf(message: JsonPart, position: Position): MetaItem {
  if (!(message instanceof JsonObject)) return MESSAGE_FAULT;
  const fields = message.pick(MESSAGE);
  const type = fields.get('type');
  if (typeof type !== 'string') return MESSAGE_FAULT;
  if (type === 'edit') return editOf(fields);
  if (type === 'revoke') return revocationOf(fields);
  const kind = META_TYPES.includes(type) ? kindOfMessageType(type) : null;
  const mediaName = kind === null ? META_TYPES.find((name) => fields.get(name) instanceof JsonObject) : type;
  const media = mediaName === undefined ? null : fields.get(mediaName);
  const failure = failureOf(type, fields, kind !== null || mediaName !== undefined);
  if (kind === null && failure === null) return null;

  const id = fields.get('id');
  if (typeof id !== 'string') return MESSAGE_FAULT;
  if (!isProviderMessageId(id)) return BAD_MESSAGE_ID;
  const mediaFields = media instanceof JsonObject ? media.pick(MEDIA) : NO_FIELDS;
  const announcedId = mediaFields.get('id');
  const mediaId = typeof announcedId === 'string' && isMediaId(announcedId) ? announcedId : null;
  if (mediaId === null && failure === null) return MEDIA_FAULT;

  const createdAt = dateOfUnixTime(fields.get('timestamp'));
  return {
    type: 'metaMedia',
    messageId: id,
    mediaId,
    url: mediaFields.get('url'),
    announcement: {
      kind: kind ?? kindOfMessageType(mediaName) ?? failure?.kind ?? null,
      mimeType: mediaFields.get('mime_type'),
      sha256: mediaFields.get('sha256'),
      filename: mediaFields.get('filename'),
      caption: mediaFields.get('caption'),
      voice: type === 'audio' ? mediaFields.get('voice') : undefined,
      fault: failure?.faultOf(mediaId) ?? null,
      createdAt,
      // WhatsApp counts the seven days of a history's media from the creation of their ids.
      availableUntil: whatsappKeepsUntil(position.field === 'history' ? null : createdAt, position.now),
      ...partiesOf(fields, position),
    },
  };
}

const NO_FIELDS: Fields = new Map();

interface Failure {
  readonly kind: MediaKind | null;
  readonly faultOf: (mediaId: string | null) => MediaFault;
}

/** Returns why the message's media cannot be fetched; null if it has none, or one that can. */
function failureOf(type: string, fields: Fields, hasMedia: boolean): Failure | null {
  if (type === 'media_placeholder') return { kind: null, faultOf: () => PLACEHOLDER_FAULT };
  const errors = fields.get('errors');
  const firstErrors = errors instanceof JsonList ? errors.first(5) : [];
  const unsupported = type === 'unsupported' ? fieldsOf(fields.get('unsupported'), ['type']).get('type') : undefined;
  if (!isMetaFailure({ errors: firstErrors, unsupported, hasMedia })) return null;
  const kind = kindOfMessageType(unsupported === 'video_note' ? 'video' : unsupported);
  return { kind, faultOf: (mediaId) => metaFailure(firstErrors, mediaId !== null) };
}

// An `edit` carries the new content of an earlier message. Of a media only the caption can be edited.
function editOf(fields: Fields): MetaItem {
  const edit = fieldsOf(fields.get('edit'), EDIT);
  const edited = edit.get('message');
  if (!(edited instanceof JsonObject)) return null;
  const content = edited.pick(EDITED);
  const mediaName = META_TYPES.find((name) => content.get(name) instanceof JsonObject);
  const text = content.get('text');
  const caption =
    mediaName !== undefined
      ? (fieldsOf(content.get(mediaName), ['caption']).get('caption') ?? null)
      : text instanceof JsonObject
        ? text.pick(['body']).get('body')
        : content.get('caption');
  if (caption !== null && typeof caption !== 'string') return null;
  return ofOriginal(edit.get('original_message_id'), (providerMessageId) => ({
    type: 'captionEdited',
    providerMessageId,
    caption: captionOf(caption),
  }));
}

function revocationOf(fields: Fields): MetaItem {
  const revoke = fieldsOf(fields.get('revoke'), ['original_message_id']);
  return ofOriginal(revoke.get('original_message_id'), (providerMessageId) => ({
    type: 'messageRevoked',
    providerMessageId,
    revokedAt: dateOfUnixTime(fields.get('timestamp')),
  }));
}

function ofOriginal(id: JsonPart | undefined, event: (id: string) => MetaItem): MetaItem {
  if (typeof id !== 'string') return null;
  return isProviderMessageId(id) ? event(id) : BAD_MESSAGE_ID;
}

/**
 * Derives direction and contact from the message's numbers, the business's number and the thread. Only the business's
 * messages have `to`.
 */
function partiesOf(
  fields: Fields,
  { isEcho, field, business, thread, soleContact }: Position,
): { direction: MediaDirection; contact: string | null } {
  const from = whatsappContact(fields.get('from')) ?? whatsappContact(fields.get('from_user_id'));
  const to = whatsappContact(fields.get('to')) ?? whatsappContact(fields.get('to_user_id'));
  const isBusiness = (party: string | null) => party !== null && party === business;
  const isOurs =
    isEcho ||
    isBusiness(from) ||
    (field === 'history' && !isBusiness(to) && (to !== null || (thread !== null && from !== null && from !== thread)));
  const otherParty = isOurs ? to : from;
  const contact = [otherParty, thread, soleContact].find((party) => party !== null && !isBusiness(party)) ?? null;
  return { direction: isOurs ? 'OUTBOUND' : 'INBOUND', contact };
}

function soleContactOf(contacts: JsonPart | undefined): string | null {
  const [contact, ...furtherContacts] = contacts instanceof JsonList ? contacts.first(2) : [];
  if (contact === undefined || furtherContacts.length > 0) return null;
  const fields = fieldsOf(contact, CONTACT);
  return whatsappContact(fields.get('wa_id')) ?? whatsappContact(fields.get('user_id'));
}

/** Normalizes a number in display format (`+1 555-078-3881`) to the format of a contact. */
function digitsOf(number: JsonPart | undefined): string | null {
  if (typeof number !== 'string' || number.length > 40) return null;
  return whatsappContact(number.replace(/[\s().-]/g, ''));
}

function fieldsOf(part: JsonPart | undefined, names: readonly string[]): Fields {
  return part instanceof JsonObject ? part.pick(names) : NO_FIELDS;
}
