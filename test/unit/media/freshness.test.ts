import type { CataloguedMedia, MessageRecord } from '../../../src/catalogue/media/catalogued-media.js';
import { isKnown, pendingPauseMs } from '../../../src/media/lookup/freshness.js';
import { reportedMedia } from '../../support/databases.js';

const NOW = new Date('2026-11-21T12:00:00.000Z');
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;

const ago = (ms: number): Date => new Date(NOW.getTime() - ms);

function media(keys: Partial<CataloguedMedia> = {}): CataloguedMedia {
  const known = {
    stored: null,
    announced: false,
    described: false,
    uploaded: false,
    failure: null,
    deletionScope: null,
    hasBytesLeft: false,
    mirrored: false,
    updatedAt: NOW,
    wasReady: false,
    revokedAt: null,
  };
  return { ...reportedMedia(), ...known, ...keys };
}

const READY = media();
const PENDING = media({ status: 'PENDING' });
const BEING_COPIED = media({ status: 'PENDING', mirrored: true });

/** A recent message that was neither announced nor listed, by default. */
function record(keys: Partial<MessageRecord>): MessageRecord {
  return { media: [], listedAt: null, firstSeenAt: ago(0), announced: false, ...keys };
}

describe('the catalogue answers alone', () => {
  it.each<[string, MessageRecord]>([
    ['what a webhook announced', record({ media: [READY], announced: true })],
    ['what a webhook announced a year ago', record({ media: [READY], announced: true, firstSeenAt: ago(365 * DAY) })],
    ['what is being copied here', record({ media: [BEING_COPIED], announced: true })],
    ['what has failed', record({ media: [media({ status: 'FAILED', mirrored: true })], announced: true })],
    [
      'what was deleted, lest the provider still has it',
      record({ media: [media({ status: 'DELETED' })], announced: true }),
    ],
    ['a listing of just now', record({ media: [READY], listedAt: ago(0) })],
    ['a listing of less than a day', record({ media: [READY], listedAt: ago(DAY - 1), firstSeenAt: ago(9 * DAY) })],
    ['an empty listing of less than a second', record({ listedAt: ago(SECOND - 1), firstSeenAt: ago(SECOND - 1) })],
    ['an empty listing of an old message', record({ listedAt: ago(DAY - 1), firstSeenAt: ago(10 * DAY) })],
    [
      'media in flight that was listed just now',
      record({ media: [PENDING], announced: true, listedAt: ago(SECOND - 1) }),
    ],
    ['a listing of a clock that goes fast', record({ media: [READY], listedAt: ago(-5 * SECOND) })],
  ])('%s', (_what, known) => expect(isKnown(known, null, new Date(NOW))).toBe(true));

  it.each<[string, MessageRecord | null]>([
    ['of an unknown message', null],
    ['of a message that nobody listed', record({})],
    ['of media that was never listed as a whole', record({ media: [READY] })],
    ['after a day', record({ media: [READY], listedAt: ago(DAY), firstSeenAt: ago(DAY) })],
    ['a second after the first empty listing', record({ listedAt: ago(SECOND), firstSeenAt: ago(SECOND) })],
    ['a day after an empty listing of an old message', record({ listedAt: ago(DAY), firstSeenAt: ago(90 * DAY) })],
    ['while announced media is still on its way to the provider', record({ media: [PENDING], announced: true })],
    [
      'while one of two is',
      record({ media: [READY, PENDING], announced: true, listedAt: ago(SECOND), firstSeenAt: ago(SECOND) }),
    ],
    ['while one is on its way there and another here', record({ media: [BEING_COPIED, PENDING], announced: true })],
  ])('but not %s', (_what, known) => expect(isKnown(known, null, new Date(NOW))).toBe(false));
});

/** When a provider is asked by a reader that looks every tenth of a second, in seconds since the first time. */
function questionsWithin(ms: number, known: Partial<MessageRecord>): number[] {
  const requestedAt: number[] = [];
  let listedAt: Date | null = null;
  for (let at = 0; at <= ms; at += 100) {
    const now = new Date(NOW.getTime() + at);
    if (isKnown({ ...record({ ...known, firstSeenAt: NOW }), listedAt }, null, now)) continue;
    listedAt = now;
    requestedAt.push(at / SECOND);
  }
  return requestedAt;
}

describe('media that its provider does not have yet', () => {
  it.each<[string, Partial<MessageRecord>]>([
    ['that a webhook announced', { media: [PENDING], announced: true }],
    ['that only a listing could tell of', {}],
  ])('%s is requested again after 1, 2, 4, 8, 15 and 30 seconds, and then every minute', (_what, known) => {
    const requestedAt = questionsWithin(5 * MINUTE, known);
    expect(requestedAt).toEqual([0, 1, 3, 7, 15, 30, 60, 120, 180, 240, 300]);
  });

  it('is requested every minute for an hour, then after growing pauses, and at least once a day', () => {
    expect(pendingPauseMs(HOUR - 1)).toBe(MINUTE);
    let last = 0;
    for (let pendingMs = HOUR; pendingMs < 60 * DAY; pendingMs += HOUR) {
      const pauseMs = pendingPauseMs(pendingMs);
      expect(pauseMs).toBeGreaterThan(MINUTE);
      expect(pauseMs).toBeGreaterThanOrEqual(last);
      expect(pauseMs).toBeLessThanOrEqual(DAY);
      last = pauseMs;
    }
    expect(last).toBe(DAY);
  });

  it('is requested at most once a second, also with wrong clocks', () => {
    expect(pendingPauseMs(-DAY)).toBe(SECOND);
    expect(pendingPauseMs(0)).toBe(SECOND);
  });
});
