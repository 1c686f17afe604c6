import { Arrival } from '../arrival.js';
import type { CdnEmulator, CdnFile } from '../cdn-emulator.js';
import { EmulatorServer, splitPath } from '../emulator-server.js';
import type { Answer, EmulatorRequest } from '../faults.js';
import type { WebhookDelivery } from '../whatsapp/whatsapp-webhook.js';
import { type Page, type PageQuery, pageOf, pageQuery, parsePageQuery } from './laml-media-page.js';
import { lamlDelivery } from './laml-webhook.js';
import { json, type LamlFlavour, lamlError, mediaJson } from './laml-wire.js';

export interface LamlEmulatorOptions {
  readonly flavour: LamlFlavour;
  /** The account in every path: a project id (SignalWire) or an `AC…` SID (Twilio). */
  readonly accountSid: string;
  /**
   * With the password: project id and API token (SignalWire); account SID and auth token, or key SID and secret
   * (Twilio).
   */
  readonly username: string;
  readonly password: string;
  /** Signs the webhooks. Default: the password, since Twilio signs with the auth token. */
  readonly signingKey?: string;
  /** The target of the redirects. */
  readonly cdn: CdnEmulator;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

export interface LamlMedia extends CdnFile {
  readonly sid: string;
  /** Twilio's CDN sends the original name in Content-Disposition. SignalWire's is not known to send one. */
  readonly filename?: string;
  /** Default: one second apart, the last media of a message now. */
  readonly createdAt?: Date;
  /** The CDN's `Content-Type`. Default: the media's own type. Null: no such header. */
  readonly contentType?: string | null;
  /** How often the media's own paths answer 404 first (providers: Twilio, support 44750147594523). */
  readonly notFoundFirst?: number;
}

export interface LamlMessage {
  readonly sid: string;
  readonly media: readonly LamlMedia[];
  /** How often all paths of the message, including the list, answer 404 first. */
  readonly notFoundFirst?: number;
  /** How long all paths of the message answer 404, from now. */
  readonly notFoundForMs?: number;
  /** True: the message is `queued` or `initiated`, so that its media cannot be deleted yet. */
  readonly inProgress?: boolean;
}

/** A wrong `next_page_uri` of a list. */
export type PageFault =
  | { readonly kind: 'other-origin'; readonly origin: string }
  | { readonly kind: 'other-account'; readonly accountSid: string }
  /** Every page names itself as the next one. */
  | { readonly kind: 'endless' };

interface StoredMedia {
  readonly sid: string;
  readonly contentType: string;
  readonly bytes: Buffer;
  readonly cdnKey: string;
  readonly createdAt: Date;
  readonly arrival: Arrival;
  deleted: boolean;
}

interface StoredMessage {
  readonly sid: string;
  /** Newest first. Deleted media stays in the list, so that page tokens keep their meaning. */
  readonly media: readonly StoredMedia[];
  readonly arrival: Arrival;
  inProgress: boolean;
  /** The list's answers by query, so that a benchmark's lists cost little. Every change clears it. */
  readonly pages: Map<string, Answer>;
}

/** Twilio's redirect targets expire after four hours (providers: Twilio, support 223183748). */
const REDIRECT_LIFETIME_MS = 4 * 60 * 60 * 1000;
const MAX_CACHED_PAGES = 16;

/** The path below the base path, which depends on the flavour. */
const MEDIA_PATH =
  /^\/Accounts\/(?<account>[^/]+)\/Messages\/(?<message>[^/]+)\/Media(?:\/(?<media>[^/.]+))?(?<json>\.json)?$/;

/**
 * The media of messages in SignalWire's Compatibility API and Twilio's API (providers: SignalWire, Message Media list,
 * retrieve and delete; Twilio, api v2010 specification and messaging/api/media-resource). `.json` is optional in every
 * path, since SignalWire's SDK writes it and its pages do not.
 */
export class LamlEmulator extends EmulatorServer {
  /** The largest page for any `PageSize`. */
  maxPageSize = 1000;
  pageFault: PageFault | null = null;
  /** 302 in responses recorded in 2026, 307 in older ones (providers: Twilio). */
  redirectStatus: 302 | 307 = 302;
  /**
   * The response to `GET …/Media/{Sid}` without `.json`. Twilio redirects to the bytes, SignalWire's page shows the
   * metadata, and `inline` sends the bytes.
   */
  bytesWithoutExtension: 'redirect' | 'json' | 'inline' = 'redirect';
  /** The list of an unknown message. SignalWire's page documents no 404 for it. */
  unknownMessage: 'not-found' | 'empty' = 'not-found';

  private readonly messages = new Map<string, StoredMessage>();
  private readonly basePath: string;
  private readonly authorization: string;
  private readonly now: () => number;

  constructor(private readonly options: LamlEmulatorOptions) {
    super();
    this.now = options.now ?? Date.now;
    this.basePath = options.flavour === 'signalwire' ? '/api/laml/2010-04-01' : '/2010-04-01';
    this.authorization = `Basic ${Buffer.from(`${options.username}:${options.password}`).toString('base64')}`;
  }

  /** The `baseUrl` of a channel. */
  get baseUrl(): string {
    return this.url + this.basePath;
  }

  /** Adds a message, or replaces that with the same SID. Its media are given oldest first. */
  addMessage(message: LamlMessage): void {
    const { sid, notFoundFirst: afterRequests, notFoundForMs: afterMs } = message;
    const media = message.media.map((item, index) => this.store(sid, item, message.media.length - 1 - index));
    this.messages.set(sid, {
      sid,
      media: media.reverse().sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime()),
      arrival: new Arrival({ afterRequests, afterMs }, this.now),
      inProgress: message.inProgress ?? false,
      pages: new Map(),
    });
  }

  /** Sets whether a message is still being sent. Its media cannot be deleted until then. */
  setInProgress(messageSid: string, inProgress: boolean): void {
    this.stored(messageSid).inProgress = inProgress;
  }

  /** The URL of a media in webhooks, which has no extension. */
  mediaUrl(messageSid: string, mediaSid: string): string {
    return `${this.url}${this.listPath(messageSid)}/${mediaSid}`;
  }

  /**
   * The signed webhook of a message that was added.
   * @param url the exact webhook URL, which the signature covers
   */
  webhookOf(messageSid: string, url: string): WebhookDelivery {
    const { flavour, accountSid, password, signingKey = password } = this.options;
    const present = this.stored(messageSid).media.filter(({ deleted }) => !deleted);
    const media = present.map(({ sid, contentType }) => ({ url: this.mediaUrl(messageSid, sid), contentType }));
    return lamlDelivery({ flavour, accountSid, messageSid, media: media.reverse(), url, signingKey });
  }

  protected answer(request: EmulatorRequest): Answer {
    if (request.headers.authorization !== this.authorization) return this.errorAnswer(401);
    const { pathname, query } = splitPath(request.path);
    if (this.isMessageList(pathname)) return this.listMessages(request.method, query);
    const path = pathname.startsWith(this.basePath)
      ? MEDIA_PATH.exec(pathname.slice(this.basePath.length))?.groups
      : undefined;
    if (!path || path.account !== this.options.accountSid) return this.errorAnswer(404);
    const message = this.messages.get(path.message ?? '');
    if (message && !message.arrival.request()) return this.errorAnswer(404);
    if (path.media === undefined) return this.listOrError(request.method, message, path.message ?? '', query);
    const media = message?.media.find(({ sid }) => sid === path.media);
    if (!message || !media?.arrival.request() || media.deleted) return this.errorAnswer(404);
    return this.oneMedia(request.method, message, media, path.json !== undefined);
  }

  protected errorAnswer(status: number): Answer {
    return this.error(status);
  }

  private store(messageSid: string, media: LamlMedia, ageSeconds: number): StoredMedia {
    const cdnKey = `${this.options.accountSid}/${messageSid}/${media.sid}`;
    const name = this.options.flavour === 'twilio' ? media.filename : undefined;
    this.options.cdn.put(cdnKey, media, {
      contentType: media.contentType,
      private: true,
      ...(name === undefined ? {} : { contentDisposition: `inline; filename="${name}"` }),
    });
    return {
      sid: media.sid,
      contentType: media.mimeType,
      bytes: media.bytes,
      cdnKey,
      createdAt: media.createdAt ?? new Date(this.now() - ageSeconds * 1000),
      arrival: new Arrival({ afterRequests: media.notFoundFirst }, this.now),
      deleted: false,
    };
  }

  private stored(messageSid: string): StoredMessage {
    const message = this.messages.get(messageSid);
    if (!message) throw new Error(`expected a message that was added, got ${messageSid}`);
    return message;
  }

  private listOrError(method: string, message: StoredMessage | undefined, sid: string, query: string): Answer {
    if (method !== 'GET') return this.errorAnswer(405);
    if (!message && this.unknownMessage === 'not-found') return this.errorAnswer(404);
    const key = JSON.stringify([query, this.maxPageSize, this.pageFault]);
    const cached = message?.pages.get(key);
    if (cached) return cached;
    const answer = this.list(message?.media ?? [], sid, query);
    if (message && message.pages.size < MAX_CACHED_PAGES) message.pages.set(key, answer);
    return answer;
  }

  private isMessageList(pathname: string): boolean {
    const path = `${this.basePath}/Accounts/${this.options.accountSid}/Messages`;
    return pathname === path || pathname === `${path}.json`;
  }

  /** The first page of the account's messages, with the fields that identify them. */
  private listMessages(method: string, query: string): Answer {
    if (method !== 'GET') return this.errorAnswer(405);
    const wanted = parsePageQuery(query, this.maxPageSize);
    if (!wanted) return this.error(400, 20001, 'Page or PageSize is out of bounds');
    const messages = [...this.messages.values()].slice(0, wanted.pageSize);
    return json(200, {
      page: 0,
      page_size: wanted.pageSize,
      next_page_uri: null,
      messages: messages.map(({ sid, media }) => ({
        sid,
        account_sid: this.options.accountSid,
        num_media: String(media.length),
      })),
    });
  }

  private list(media: readonly StoredMedia[], messageSid: string, query: string): Answer {
    const wanted = parsePageQuery(query, this.maxPageSize);
    if (!wanted) return this.error(400, 20001, 'Page or PageSize is out of bounds');
    const page = pageOf(wanted, media);
    return page ? json(200, this.pageBody(page, wanted, messageSid)) : this.error(400, 21481, 'Invalid page token');
  }

  private pageBody(page: Page<StoredMedia>, wanted: PageQuery, messageSid: string): object {
    const isTwilio = this.options.flavour === 'twilio';
    const path = this.listPath(messageSid) + (isTwilio ? '.json' : '');
    const uri = `${path}?${pageQuery(wanted.page, wanted.pageSize, wanted.pageToken ?? undefined)}`;
    const next = page.next === null ? null : `${path}?${page.next}`;
    return {
      uri,
      first_page_uri: `${path}?${pageQuery(0, wanted.pageSize)}`,
      next_page_uri: this.pageFault ? this.faultyNext(this.pageFault, uri) : next,
      previous_page_uri: page.previous === null ? null : `${path}?${page.previous}`,
      page: wanted.page,
      page_size: wanted.pageSize,
      ...(isTwilio ? { start: page.start, end: Math.max(page.start, page.start + page.items.length - 1) } : {}),
      media_list: page.items.map((media) => this.metadata(messageSid, media)),
    };
  }

  private faultyNext(fault: PageFault, uri: string): string {
    if (fault.kind === 'endless') return uri;
    if (fault.kind === 'other-origin') return fault.origin + uri;
    return uri.replace(`/Accounts/${this.options.accountSid}/`, `/Accounts/${fault.accountSid}/`);
  }

  private oneMedia(method: string, message: StoredMessage, media: StoredMedia, asJson: boolean): Answer {
    if (method === 'DELETE') return this.deleteMedia(message, media);
    if (method !== 'GET' && method !== 'HEAD') return this.errorAnswer(405);
    if (asJson || this.bytesWithoutExtension === 'json') return json(200, this.metadata(message.sid, media));
    if (this.bytesWithoutExtension === 'inline') {
      return { status: 200, headers: { 'content-type': media.contentType }, body: media.bytes, isFile: true };
    }
    const location = this.options.cdn.signedUrl(media.cdnKey, REDIRECT_LIFETIME_MS);
    return { status: this.redirectStatus, headers: { location } };
  }

  /**
   * Answers 204, and 404 afterwards. It refuses while the message is in progress (providers: SignalWire, error 20009).
   */
  private deleteMedia(message: StoredMessage, media: StoredMedia): Answer {
    if (message.inProgress) return this.error(400, 20009, 'Cannot delete media while its message is in progress');
    media.deleted = true;
    message.pages.clear();
    this.options.cdn.remove(media.cdnKey);
    return { status: 204 };
  }

  private metadata(messageSid: string, media: StoredMedia): object {
    return mediaJson({
      ...media,
      accountSid: this.options.accountSid,
      messageSid,
      listPath: this.listPath(messageSid),
    });
  }

  private listPath(messageSid: string): string {
    return `${this.basePath}/Accounts/${this.options.accountSid}/Messages/${messageSid}/Media`;
  }

  private error(status: number, code?: number, message?: string): Answer {
    return lamlError({ flavour: this.options.flavour, status, code, message });
  }
}
