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
import type { MediaLookup } from '../lookup/lookup.js';
import { mediaOf } from '../media-of.js';
import { endOfRetention, type Retention } from '../retention.js';
import { FaultTally, partsOf } from './parts.js';

export interface WebhookReceptionOptions {
  readonly channels: ChannelDirectory;
  readonly inbox: WebhookInbox;
  readonly jobs: Pick<JobStore, 'retry'>;
  readonly catalogue: MediaCatalogue;
  /** Inserts rows for media that this process has listed. */
  readonly lookup: Pick<MediaLookup, 'recordListed'>;
  /** Whether announced media is copied immediately (`mirror.mode` eager). */
  readonly mirrors: boolean;
  readonly retention: Pick<Retention, 'of'>;
  /** Called when the inbox has a new event. */
  readonly onRecorded: () => void;
  /** Called when there is new media to copy. */
  readonly onAnnounced: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * The number of attempts of an event whose recording fails. An event that cannot be parsed becomes a dead letter
 * immediately.
 */
const MAX_ATTEMPTS = 12;

/**
 * The number of attempts of an event that edits or deletes a message without known media. Most such messages are texts.
 */
const ATTEMPTS_FOR_MESSAGE = 5;

/** Receives webhooks: verifies and stores them before the response, and processes them afterwards. */
export class WebhookReception {
  constructor(private readonly options: WebhookReceptionOptions) {}

  /**
   * Resolves when the inbox contains the event.
   * @throws MediagraphError CHANNEL_NOT_FOUND, WEBHOOK_REJECTED; a retryable INTERNAL_SERVER_ERROR if the database is
   *   unavailable
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

  /**
   * Meta's verification request: returns the challenge.
   * @throws MediagraphError CHANNEL_NOT_FOUND, WEBHOOK_REJECTED
   */
  handshake(channelId: ChannelId, query: URLSearchParams): string {
    const { receiver } = this.#receiverOf(channelId);
    if (!receiver.handshake) throw unknownWebhook();
    return receiver.handshake(query);
  }

  /**
   * Performs a job of kind `webhook`: records the announced media. The job ends as processed, due again, or a dead
   * letter.
   */
  async process(job: ClaimedJob, event: InboxEvent): Promise<void> {
    const { inbox, jobs, logger } = this.options;
    const faults = new FaultTally();
    try {
      const { channel, receiver } = this.#receiverOf(event.channelId);
      const told = receiver.parse(event.rawBody, event.contentType, event.receivedAt);
      let areKnown = true;
      for await (const part of partsOf(told, faults)) areKnown = (await this.#apply(channel, part)) && areKnown;
      // The event of the message may be processed at the same time or arrive later.
      if (!areKnown && job.attempts < ATTEMPTS_FOR_MESSAGE)
        return jobs.retry(job, this.#retryAt(job, null), 'the message that it changes is not known yet');
    } catch (thrown) {
      if (!isHopeless(thrown) && job.attempts < MAX_ATTEMPTS) {
        logger.warn(
          { err: thrown, channelId: event.channelId, event: event.id },
          'a webhook event failed and will be retried',
        );
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
    logger.error({ channelId: event.channelId, event: event.id, error }, 'a webhook event became a dead letter');
    return inbox.bury(job, error);
  }

  /** Ends an event that has ended its process too often. A replay starts again. */
  condemn(job: ClaimedJob): Promise<void> {
    return this.options.inbox.bury(job, 'expected to survive this event, got the end of the process three times');
  }

  /** @returns whether this server knows media of every changed message */
  async #apply(channel: ConnectedChannel, events: readonly WebhookEvent[]): Promise<boolean> {
    const { catalogue, lookup, mirrors, retention, onAnnounced } = this.options;
    const now = dateOf(this.options.clock);
    for (const event of events) {
      if (event.type === 'deviceDestroyed')
        await catalogue.expireDevice(channel.tenant, channel.id, event.providerMediaIdPrefix, now);
    }
    const announced = events.flatMap((event) => (event.type === 'mediaAnnounced' ? event.media : []));
    if (announced.length > 0) {
      const mirror = mirrors && channel.adapter.openMedia !== undefined;
      const retainedUntil = endOfRetention(retention.of(channel), now);
      const media = announced.map((one) => mediaOf(channel, one, retainedUntil));
      // A link that a listing has given out goes on to work: its media is READY before it is announced.
      await lookup.recordListed(channel.tenant, media);
      await catalogue.recordAnnouncement(channel.tenant, media, { mirror, now, retainedUntil });
      if (mirror) onAnnounced();
    }
    // A message is recorded before its edits, also within one body.
    const changes = events.filter(isChange).map((event) => changeOf(channel.id, event, now));
    const known = await catalogue.applyMessageChanges(channel.tenant, changes, now);
    return known === new Set(changes.map(({ key }) => key.providerMessageId)).size;
  }

  /** Rejects with a retryable error, so that the provider repeats the webhook. */
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
  return new MediagraphError('CHANNEL_NOT_FOUND', 'expected the id of a channel with a webhook, got another id');
}

/** The provider's id of the delivery, or else a digest of the body, because an identical body contains nothing new. */
function dedupeKeyOf(receiver: WebhookReceiver, request: WebhookRequest): string {
  const deliveryId = receiver.deliveryId(request);
  if (deliveryId !== null) return `delivery:${deliveryId}`;
  return `body:${createHash('sha256').update(request.rawBody).digest('hex')}`;
}

/**
 * Whether a retry would fail in the same way: the body does not match the provider's documentation, or the channel is
 * no longer configured.
 */
function isHopeless(thrown: unknown): boolean {
  return thrown instanceof MediagraphError && !thrown.details.retryable;
}
