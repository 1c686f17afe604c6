import { MediagraphError } from '../../../src/model/errors.js';
import {
  createUploadId,
  decodeMediaId,
  encodeMediaId,
  formatMessageId,
  MAX_ID_LENGTH,
  MAX_PROVIDER_MEDIA_ID_BYTES,
  MAX_PROVIDER_MESSAGE_ID_BYTES,
  type MediaIdParts,
  parseMessageId,
} from '../../../src/model/ids.js';

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (thrown) {
    return thrown instanceof MediagraphError ? thrown.code : String(thrown);
  }
  return 'nothing thrown';
}

describe('message ids', () => {
  it.each([
    [
      'support-wa:wamid.HBgLMTY1MDM4Nzk0MzkVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ0RgA=',
      'support-wa',
      'wamid.HBgLMTY1MDM4Nzk0MzkVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ0RgA=',
    ],
    ['a:b:c', 'a', 'b:c'],
    ['sms:a/b+c=', 'sms', 'a/b+c='],
    ['0:x', '0', 'x'],
    [`${'a'.repeat(63)}:x`, 'a'.repeat(63), 'x'],
    ['sms:…é漢', 'sms', '…é漢'],
    ['sms:a..b', 'sms', 'a..b'],
    ['sms:...', 'sms', '...'],
    ['sms:100%', 'sms', '100%'],
  ])('are split at the first colon and written back unchanged: %s', (id, channelId, providerMessageId) => {
    const parsed = parseMessageId(id);
    expect(parsed).toEqual({ form: 'qualified', channelId, providerMessageId });
    expect(formatMessageId({ channelId, providerMessageId })).toBe(id);
  });

  it.each(['wamid.HBgL', 'Support:x', 'a_b:x', '-a:x', `${'a'.repeat(64)}:x`, 'é:x', ' sms:x', 'sms'])(
    'in another form are a bare id: %s',
    (id) => expect(parseMessageId(id)).toEqual({ form: 'bare', providerMessageId: id }),
  );

  it.each([
    '',
    ':x',
    'sms:',
    'sms:.',
    'sms:..',
    'sms:%2e',
    'sms:%2E%2e',
    'sms:%252e%252e',
    'sms:.%2e',
    'sms:a/../b',
    'sms:a%2f..%2fb',
    'sms:a%252F%252E%252E%252Fb',
    'sms:a\\..\\b',
    'sms:a%5c..',
    'sms:../x',
    'sms:x/..',
    '..',
    'sms:a\0b',
    'sms:a\nb',
    'sms:a\u007fb',
    'sms:a\u0085b',
    'sms:a\u2028b',
    'sms:\ud800',
    `sms:${'x'.repeat(MAX_PROVIDER_MESSAGE_ID_BYTES + 1)}`,
    `sms:${'é'.repeat(MAX_PROVIDER_MESSAGE_ID_BYTES / 2 + 1)}`,
  ])('that no provider can have issued are refused with BAD_USER_INPUT: %j', (id) => {
    expect(codeOf(() => parseMessageId(id))).toBe('BAD_USER_INPUT');
  });

  it('of ten thousand characters are refused quickly, also in the worst case', () => {
    expect(codeOf(() => parseMessageId(`sms:${'%25'.repeat(100_000)}2e`))).toBe('BAD_USER_INPUT');
  });
});

describe('media ids', () => {
  const parts: MediaIdParts = { channelId: 'sms', providerMessageId: 'SM0123', providerMediaId: 'ME4567' };

  it.each<[string, MediaIdParts]>([
    ['message and media', parts],
    ['the message alone', { ...parts, providerMediaId: null }],
    ['ids that are not ASCII', { channelId: 'a-1', providerMessageId: 'wamid.…漢🙂=', providerMediaId: 'é' }],
    ['the shortest', { channelId: 'a', providerMessageId: 'b', providerMediaId: null }],
    [
      'the longest',
      {
        channelId: 'c'.repeat(63),
        providerMessageId: 'm'.repeat(MAX_PROVIDER_MESSAGE_ID_BYTES),
        providerMediaId: 'x'.repeat(MAX_PROVIDER_MEDIA_ID_BYTES),
      },
    ],
  ])('are decoded to the parts that were encoded: %s', (_name, encoded) => {
    const id = encodeMediaId(encoded);
    expect(id.length).toBeLessThanOrEqual(MAX_ID_LENGTH);
    expect(id).toMatch(/^[A-Za-z0-9_-]+$/);
    expect(decodeMediaId(id)).toEqual(encoded);
  });

  it('never change their format: this id was created by version 1', () => {
    expect(encodeMediaId(parts)).toBe('AQNzbXMGU00wMTIzTUU0NTY3s9iIYQ');
  });

  it('of uploads are unique and contain their channel', () => {
    const ids = Array.from({ length: 100 }, () => createUploadId('support'));
    expect(new Set(ids).size).toBe(100);
    for (const id of ids)
      expect(decodeMediaId(id)).toEqual({ channelId: 'support', uploadId: expect.stringMatching(/^[0-9a-f]{32}$/) });
  });

  it.each([
    ['a media', encodeMediaId(parts)],
    ['an upload', createUploadId('sms')],
  ])('refuse every change of one character: %s', (_kind, id) => {
    for (let at = 0; at < id.length; at++) {
      for (const character of 'Aa0_-Z9') {
        const changed = id.slice(0, at) + character + id.slice(at + 1);
        if (changed !== id) expect(decodeMediaId(changed)).toBeNull();
      }
    }
  });

  it.each([
    '',
    'x',
    '=',
    'AQ',
    `${'A'.repeat(600)}`,
    'a b',
    '../..',
    '%00',
    encodeMediaId(parts).slice(0, -1),
    `${encodeMediaId(parts)}A`,
    `${encodeMediaId(parts)}=`,
  ])('refuse any other text: %j', (id) => expect(decodeMediaId(id)).toBeNull());

  it('refuse invalid parts, even with a correct checksum', () => {
    const smuggled = [
      { ...parts, channelId: 'UPPER' },
      { ...parts, providerMessageId: '..' },
      { ...parts, providerMediaId: '../../x' },
      { ...parts, providerMediaId: 'a\0b' },
      { ...parts, providerMessageId: '' },
    ];
    for (const invalid of smuggled) expect(decodeMediaId(encodeMediaId(invalid))).toBeNull();
  });
});
