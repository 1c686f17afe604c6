/**
 * Random heads of files and headers. A short form by default, for seconds; `TEST_LONG=1` goes on for minutes, and
 * `TEST_SEED` repeats the inputs of a run. A failure prints its input in hexadecimal. An input that took more than linear
 * time would not end before the test's deadline, and it is named, too.
 */

import { Readable } from 'node:stream';
import { bytesToSniff, isVerdictFinal, sniffMimeType } from '../../src/inspection/sniff/sniff.js';
import { safeFilename, withExtension } from '../../src/links/media-name.js';
import { MediagraphError } from '../../src/model/errors.js';
import { essenceOf, extensionOf, isInlineSafe, normalizeMimeType } from '../../src/model/text/mime-type.js';
import { AddressPolicy } from '../../src/net/guarded/public-address.js';
import { judgeRedirect } from '../../src/net/guarded/url-policy.js';
import { dispositionName } from '../../src/providers/toolkit/disposition-name.js';
import { peek } from '../../src/streams/peek.js';
import { Chance } from '../support/chance.js';

const IS_LONG = process.env.TEST_LONG === '1';
const SEED = process.env.TEST_SEED ?? (IS_LONG ? String(Date.now()) : 'heads');
const LONG_MS = 120_000;
/** The number of inputs of each kind, in the short form. */
const SHORT_ROUNDS = 120;
const DEADLINE_MS = IS_LONG ? 4 * LONG_MS : 60_000;

/** Pieces that parsers look for, so that random inputs reach behind their first glance. */
const PIECES: readonly Buffer[] = [
  ...[
    '<!--',
    '-->',
    '--!>',
    '<?xml version="1.0"?>',
    '<!DOCTYPE svg [',
    ']>',
    '<!doctype html',
    '<svg ',
    '<script>',
    '<p>',
    'xmlns=',
    'BEGIN:VCARD\r\n',
    'BM',
    'MZ',
    'GIF89a',
    'ID3\x04\0\0\0\0\x01\x00',
    '%PDF-1.7',
    'PK\x03\x04',
    'II*\0',
    'MM\0*',
    'fLaC',
    'OggS',
    'RIFF',
    'WEBPVP8 ',
    '\0\0\0\x18ftypmp42',
    '\x89PNG\r\n\x1a\n\0\0\0\rIHDR',
    '\0\0\0\x08acTL',
    '\xff\xfb\x90',
    '\xff\xf1\x50',
    '\x1f\x8b\x08',
    '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1',
    '\x1a\x45\xdf\xa3',
    '\xff\xfe',
    '\xfe\xff',
    '\xef\xbb\xbf',
    'a,b;c\r\n',
    'Gr\xfc\xdfe ',
    '\xe4\0',
    'filename=',
    'filename*=',
    'filename*0*=',
    "UTF-8''",
    "iso-8859-1'en'",
    '"',
    '\\',
    ';',
    '=?UTF-8?B?',
    '=?x?q?',
    '?=',
    '%e2%82%ac',
    '%',
    '%ff',
    'text/',
    'csv',
    '; charset=',
    'image/',
    '/',
    '//',
    'http://',
    '..',
    '?',
    '#',
    '@',
    '[::1]',
    '\u00c3\u00a4',
    ' ',
    '\t',
    '\0',
    '\r\n',
  ].map((text) => Buffer.from(text, 'latin1')),
];

class Fuzz {
  readonly #chance: Chance;
  readonly #until = Date.now() + LONG_MS;
  #rounds = 0;

  constructor(kind: string) {
    this.#chance = new Chance(`${SEED} ${kind}`);
  }

  get goesOn(): boolean {
    this.#rounds += 1;
    return IS_LONG ? Date.now() < this.#until : this.#rounds <= SHORT_ROUNDS;
  }

  below(limit: number): number {
    return this.#chance.below(limit);
  }

  of<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error('expected something to choose from');
    return item;
  }

  /** Pieces, noise, or one of them many times over. */
  bytes(most: number): Buffer {
    const length = this.below(5) === 0 ? most : this.below(200);
    const unit = Buffer.concat(Array.from({ length: 1 + this.below(6) }, () => this.#piece()));
    const start = Buffer.concat(Array.from({ length: this.below(4) }, () => this.#piece()));
    return Buffer.concat([start, Buffer.alloc(length, unit.length > 0 ? unit : 'x'), this.#piece()]).subarray(0, most);
  }

  text(most: number): string {
    return this.bytes(most).toString('latin1');
  }

  #piece(): Buffer {
    return this.below(4) === 0
      ? Buffer.from(Array.from({ length: 1 + this.below(8) }, () => this.below(256)))
      : this.of(PIECES);
  }
}

/** Fails with the input that did. */
async function withInput(input: Buffer | string, look: () => void | Promise<void>): Promise<void> {
  const started = Date.now();
  try {
    await look();
  } catch (cause) {
    const bytes = Buffer.from(input.toString('latin1'), 'latin1');
    throw new Error(`seed ${SEED}, ${bytes.length} bytes: ${bytes.toString('hex').slice(0, 4_000)}`, { cause });
  }
  // Generous: the slowest of these takes milliseconds, and a stuck one minutes.
  if (Date.now() - started > 20_000)
    throw new Error(`seed ${SEED} took too long: ${input.toString('hex').slice(0, 4_000)}`);
}

const CLAIMS = [
  null,
  'text/plain',
  'text/csv; charset=shift_jis',
  'image/jpeg',
  'audio/aac',
  'application/zip',
  'x',
  'text/html; charset=utf-7',
];
const TYPE = /^[a-z0-9][a-z0-9!#$&^_.+-]*\/[a-z0-9][a-z0-9!#$&^_.+-]*(; [a-z]+="?[A-Za-z0-9._-]+"?)*$/;

it(
  'any head has a type, and a file name for it',
  async () => {
    for (const fuzz = new Fuzz('heads'); fuzz.goesOn; ) {
      const head = fuzz.bytes(fuzz.of([300, 4_100, 65_536]));
      await withInput(head, async () => {
        const type = await sniffMimeType(head, fuzz.of(CLAIMS));
        expect(type).toMatch(TYPE);
        const name = withExtension(safeFilename(fuzz.text(60)) ?? 'file', type);
        expect(safeFilename(name)).toBe(name);
        if (isInlineSafe(type) && essenceOf(type) === 'text/plain')
          expect(head.toString('latin1').trimStart().toLowerCase()).not.toMatch(
            /^(<!doctype html|<script|<svg|<html)[\s>]/,
          );
      });
    }
  },
  DEADLINE_MS,
);

it(
  'a final verdict does not change',
  async () => {
    for (const fuzz = new Fuzz('verdicts'); fuzz.goesOn; ) {
      const bytes = fuzz.bytes(8_000);
      const head = bytes.subarray(0, fuzz.below(bytes.length + 1));
      await withInput(bytes, async () => {
        if (!isVerdictFinal(head)) return;
        const whole = bytes.subarray(0, Math.max(head.length, bytesToSniff(bytes)));
        const claim = fuzz.of(CLAIMS);
        if (head.length < bytesToSniff(head))
          expect(await sniffMimeType(whole, claim)).toBe(await sniffMimeType(head, claim));
      });
    }
  },
  DEADLINE_MS,
);

it(
  'peeking at a stream keeps its bytes, for any chunks',
  async () => {
    for (const fuzz = new Fuzz('peeks'); fuzz.goesOn; ) {
      const bytes = fuzz.bytes(9_000);
      await withInput(bytes, async () => {
        const step = 1 + fuzz.below(bytes.length);
        const chunks = Array.from({ length: Math.ceil(bytes.length / step) }, (_, at) =>
          bytes.subarray(at * step, (at + 1) * step),
        );
        const { head, body } = await peek(
          Readable.from(chunks, { objectMode: false }),
          (seen) => bytesToSniff(seen),
          isVerdictFinal,
        );
        expect(bytes.subarray(0, head.length).equals(head)).toBe(true);
        expect(Buffer.concat(await body.toArray()).equals(bytes)).toBe(true);
      });
    }
  },
  DEADLINE_MS,
);

it(
  'a Content-Disposition has a name that can be sanitised, or none',
  async () => {
    for (const fuzz = new Fuzz('names'); fuzz.goesOn; ) {
      const header =
        fuzz.of(['', 'attachment; filename=', 'attachment; filename="', 'inline; filename*=']) +
        fuzz.text(fuzz.of([200, 65_536]));
      await withInput(header, () => {
        const name = dispositionName(header);
        if (name === null) return;
        expect([name.isWellFormed(), /\p{Cc}/u.test(name), name.length > 1_024, name === '']).toEqual([
          true,
          false,
          false,
          false,
        ]);
        expect(safeFilename(name) ?? 'none').toMatch(/^[^\p{Cc}/\\"<>|:*?]+$/u);
      });
    }
  },
  DEADLINE_MS,
);

it(
  'a media type is normalised to one spelling, or refused',
  async () => {
    for (const fuzz = new Fuzz('types'); fuzz.goesOn; ) {
      const claim = fuzz.of(['', 'image/jpeg', 'text/csv;']) + fuzz.text(fuzz.of([40, 65_536]));
      await withInput(claim, () => {
        const taken = normalizeMimeType(claim);
        if (taken === null) return;
        expect(normalizeMimeType(taken)).toBe(taken);
        expect(taken).toMatch(/^[\x20-\x7e]{3,1100}$/);
        expect(extensionOf(taken) ?? 'x').toMatch(/^[A-Za-z0-9]{1,8}$/);
      });
    }
  },
  DEADLINE_MS,
);

it(
  'a Location leads to an ASCII URL, or is refused',
  async () => {
    const policy = new AddressPolicy({ allowPrivate: [], allowedPorts: [80, 443] });
    const base = new URL('https://cdn.example.com/a/b?c');
    for (const fuzz = new Fuzz('locations'); fuzz.goesOn; ) {
      const location =
        fuzz.of(['', '/', '//', 'https://cdn.example.com/', 'http://']) + fuzz.text(fuzz.of([100, 65_536]));
      await withInput(location, () => {
        try {
          const { href, protocol } = judgeRedirect(location, base, policy);
          expect([/^[\x21-\x7e]+$/.test(href), ['http:', 'https:'].includes(protocol)]).toEqual([true, true]);
        } catch (thrown) {
          if (!(thrown instanceof MediagraphError)) throw thrown;
          expect(thrown.code).toBe('URL_NOT_ALLOWED');
        }
      });
    }
  },
  DEADLINE_MS,
);
