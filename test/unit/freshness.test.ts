import type { CataloguedMedia, MessageRecord } from '../../src/catalogue/catalogued-media.js';
import { mayAnswerAlone } from '../../src/media/freshness.js';
import { reportedMedia } from '../support/databases.js';

const NOW = new Date('2026-11-21T12:00:00.000Z');
const SECOND = 1_000;
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
    wasReady: true,
    mirrored: false,
    updatedAt: NOW,
    revokedAt: null,
  };
  return { ...reportedMedia(), ...known, ...keys };
}

const READY = media();
const PENDING = media({ status: 'PENDING' });
const BEING_COPIED = media({ status: 'PENDING', mirrored: true });

/** A message of just now that nobody announced and nobody listed, unless said otherwise. */
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
    ['a young message whose empty listing is half a minute young', record({ listedAt: ago(30 * SECOND - 1) })],
    ['an old message whose empty listing is of today', record({ listedAt: ago(DAY - 1), firstSeenAt: ago(2 * DAY) })],
    ['a message of an hour whose empty listing is of today', record({ listedAt: ago(HOUR), firstSeenAt: ago(HOUR) })],
    ['media in flight that was listed just now', record({ media: [PENDING], announced: true, listedAt: ago(SECOND) })],
    ['a listing of a clock that goes fast', record({ media: [READY], listedAt: ago(-5 * SECOND) })],
  ])('%s', (_what, known) => expect(mayAnswerAlone(known, new Date(NOW))).toBe(true));

  it.each<[string, MessageRecord | null]>([
    ['of a message that nobody told of', null],
    ['of a message that nobody listed', record({})],
    ['of media that was never listed as a whole', record({ media: [READY] })],
    ['after a day', record({ media: [READY], listedAt: ago(DAY), firstSeenAt: ago(DAY) })],
    ['half a minute after an empty listing of a young message', record({ listedAt: ago(30 * SECOND) })],
    ['just before the message is old', record({ listedAt: ago(HOUR - 1), firstSeenAt: ago(HOUR - 1) })],
    ['a day after an empty listing of an old message', record({ listedAt: ago(DAY), firstSeenAt: ago(9 * DAY) })],
    ['while announced media is still on its way to the provider', record({ media: [PENDING], announced: true })],
    ['while one of two is', record({ media: [READY, PENDING], announced: true, listedAt: ago(30 * SECOND) })],
    ['while one is on its way there and another here', record({ media: [BEING_COPIED, PENDING], announced: true })],
  ])('but not %s', (_what, known) => expect(mayAnswerAlone(known, new Date(NOW))).toBe(false));
});
