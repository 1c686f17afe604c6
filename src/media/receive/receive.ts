import { createHash } from 'node:crypto';
import { queryCatalogue } from '../../catalogue/catalogue-fault.js';
import type { MediaCatalogue, MessageChange } from '../../catalogue/media/media-catalogue.js';
import type { InboxEvent, ReceivedEvent, WebhookInbox } from '../../catalogue/webhook-inbox.js';
import type { ClaimedJob } from '../../jobs/job.js';
import type { JobStore } from '../../jobs/job-store.js';
import type { ChannelId } from '../../model/channel.js';
import { addMilliseconds, type Clock, dateOf } from '../../model/clock.js';
import { MediagraphError } from '../../model/errors.js';
import type { ChannelDirectory, ConnectedChannel } from '../../providers/channel-directory.js';
import type { WebhookAnswer, WebhookEvent, WebhookReceiver, WebhookRequest } from '../../providers/provider-adapter.js';
import type { Logger } from '../../telemetry/logger.js';
import { backoffMs, reasonOf } from '../backoff.js';
import { mediaOf } from '../media-of.js';
import { endOfRetention } from '../retention.js';
import { FaultTally, partsOf } from './parts.js';

export interface WebhookReceptionOptions {
  readonly channels: ChannelDirectory;
  readonly inbox: WebhookInbox;
  readonly jobs: Pick<JobStore, 'retry'>;
  readonly catalogue: MediaCatalogue;
  /** Whether media that is announced is copied at once (`mirror.mode` eager). */
  readonly mirrors: boolean;
  /** `retention.default`; null = until deleted. */
  readonly retentionMs: number | null;
  /** There is something new in the inbox. */
  readonly onRecorded: () => void;
  /** There is something new to copy. */
  readonly onAnnounced: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Attempts of an event whose recording failed; what cannot be understood is buried at once. */
const MAX_ATTEMPTS = 12;

/** Attempts of an event that edits or withdraws a message without media here; most such messages are texts. */
const ATTEMPTS_FOR_MESSAGE = 5;

/** Webhooks: verified and made durable before they are answered, understood afterwards. */
export class WebhookReception {
  constructor(private readonly options: WebhookReceptionOptions) {}

  /**
   * Resolves when the event is in the inbox, or was already.
   * @throws MediagraphError CHANNEL_NOT_FOUND, WEBHOOK_REJECTED; a retryable INTERNAL_SERVER_ERROR without the database
   */
  async receive(channelId: ChannelId, request: WebhookRequest): Promise<WebhookAnswer | null> {
    const { channel, receiver } = this.#receiverOf(channelId);
    const now = dateOf(this.options.clock);
    receiver.verify(request, now);
    const outcome = await this.#record({
      tenant: channel.tenant,
      channelId: channel.id,
      dedupeKey: dedupeKeyOf(receiver, request),
      contentType: request.headers['content-type'] ?? '',
      rawBody: request.rawBody,
      now,
    });
    if (outcome === 'recorded') this.options.onRecorded();
    return receiver.answer ?? null;
  }

  /** Meta's handshake: the challenge to echo. @throws MediagraphError CHANNEL_NOT_FOUND, WEBHOOK_REJECTED */
  handshake(channelId: ChannelId, query: URLSearchParams): string {
    const { receiver } = this.#receiverOf(channelId);
    if (!receiver.handshake) throw unknownWebhook();
    return receiver.handshake(query);
  }

  /** Performs a job of kind `webhook`: records what the event announces. It ends as done, due again, or a dead letter. */
  async process(job: ClaimedJob, event: InboxEvent): Promise<void> {
    const { inbox, jobs, logger } = this.options;
    const faults = new FaultTally();
    try {
      const { channel, receiver } = this.#receiverOf(event.channelId);
      const told = receiver.parse(event.rawBody, event.contentType, event.receivedAt);
      let areKnown = true;
      for await (const part of partsOf(told, faults)) areKnown = (await this.#apply(channel, part)) && areKnown;
      // The event of the message may be worked on at the same time, or still be on its way.
      if (!areKnown && job.attempts < ATTEMPTS_FOR_MESSAGE)
        return jobs.retry(job, this.#retryAt(job, null), 'the message that it changes is not known yet');
    } catch (thrown) {
      if (!isHopeless(thrown) && job.attempts < MAX_ATTEMPTS) {
        logger.warn({ err: thrown, channelId: event.channelId, event: event.id }, 'a webhook event is tried again');
        return jobs.retry(job, this.#retryAt(job, thrown), reasonOf(thrown));
      }
      return this.#bury(job, event, reasonOf(thrown));
    }
    if (faults.text === null) return inbox.done(job);
    return this.#bury(job, event, faults.text);
  }

  #retryAt({ attempts }: ClaimedJob, thrown: unknown): Date {
    return addMilliseconds(dateOf(this.options.clock), backoffMs(attempts, thrown));
  }

  #bury(job: ClaimedJob, event: InboxEvent, error: string): Promise<void> {
    const { inbox, logger } = this.options;
    logger.error({ channelId: event.channelId, event: event.id, error }, 'a webhook event went to the dead letters');
    return inbox.bury(job, error);
  }

  /** Gives up an event that has ended its process too often; a replay begins anew. */
  condemn(job: ClaimedJob): Promise<void> {
    return this.options.inbox.bury(job, 'expected to survive this event, got the end of the process three times');
  }

  /** @returns whether every message that is changed has media here */
  async #apply(channel: ConnectedChannel, events: readonly WebhookEvent[]): Promise<boolean> {
    const { catalogue, mirrors, retentionMs, onAnnounced } = this.options;
    const now = dateOf(this.options.clock);
    for (const event of events) {
      if (event.type === 'deviceDestroyed')
        await catalogue.expireDevice(channel.tenant, channel.id, event.providerMediaIdPrefix, now);
    }
    const announced = events.flatMap((event) => (event.type === 'mediaAnnounced' ? event.media : []));
    if (announced.length > 0) {
      const mirror = mirrors && channel.adapter.openMedia !== undefined;
      const retainedUntil = endOfRetention(retentionMs, now);
      const media = announced.map((one) => mediaOf(channel, one, retainedUntil));
      await catalogue.recordAnnouncement(channel.tenant, media, { mirror, now, retainedUntil });
      if (mirror) onAnnounced();
    }
    // A message comes before its edits, also within one body.
    const changes = events.filter(isChange).map((event) => changeOf(channel.id, event, now));
    const known = await catalogue.applyMessageChanges(channel.tenant, changes, now);
    return known === new Set(changes.map(({ key }) => key.providerMessageId)).size;
  }

  /** Rejects what is not acknowledged, and worth repeating. */
  #record(event: ReceivedEvent): Promise<'recorded' | 'repeated'> {
    return queryCatalogue(() => this.options.inbox.receive(event));
  }

  #receiverOf(channelId: ChannelId): { channel: ConnectedChannel; receiver: WebhookReceiver } {
    const channel = this.options.channels.findForWebhook(channelId);
    const receiver = channel?.webhook;
    if (!channel || !receiver) throw unknownWebhook();
    return { channel, receiver };
  }
}

type ChangeEvent = Extract<WebhookEvent, { readonly type: 'captionEdited' | 'messageRevoked' }>;

function isChange(event: WebhookEvent): event is ChangeEvent {
  return event.type === 'captionEdited' || event.type === 'messageRevoked';
}

function changeOf(channelId: ChannelId, event: ChangeEvent, now: Date): MessageChange {
  const key = { channelId, providerMessageId: event.providerMessageId };
  if (event.type === 'captionEdited') return { type: event.type, key, caption: event.caption };
  return { type: event.type, key, revokedAt: event.revokedAt ?? now };
}

function unknownWebhook(): MediagraphError {
  return new MediagraphError('CHANNEL_NOT_FOUND', 'expected the id of a channel that takes webhooks, got another');
}

/** By the provider's name for the delivery, else by the body: repeated byte for byte, it says nothing new. */
function dedupeKeyOf(receiver: WebhookReceiver, request: WebhookRequest): string {
  const deliveryId = receiver.deliveryId(request);
  if (deliveryId !== null) return `delivery:${deliveryId}`;
  return `body:${createHash('sha256').update(request.rawBody).digest('hex')}`;
}

/** What no repetition would change: the body is not what the provider documents, or the channel is no longer configured. */
function isHopeless(thrown: unknown): boolean {
  return thrown instanceof MediagraphError && !thrown.details.retryable;
}
