import { MAX_TENANT_BYTES } from '../../../src/model/channel.js';
import { isBlobKey, mediaBlobKey, parseMediaBlobKey } from '../../../src/storage/blob-store.js';
import { HOSTILE_TENANTS } from '../../contract/blobs.js';

describe('keys of media', () => {
  it('can be read back and are texts that any store takes', () => {
    for (const tenant of [...HOSTILE_TENANTS, 'é'.repeat(MAX_TENANT_BYTES / 2)]) {
      for (const id of ['A', '-', '_'.repeat(200), '-'.repeat(201), 'z'.repeat(512)]) {
        const key = mediaBlobKey(tenant, id);
        expect(isBlobKey(key)).toBe(true);
        expect(key.split('/').every((segment) => segment.length <= 220)).toBe(true);
        expect(parseMediaBlobKey(key)).toEqual({ tenant, id });
      }
    }
  });

  it('never meet, and no media begins with the prefix of another', () => {
    const pairs = [
      ['a', 'b'],
      ['ab', ''.padEnd(200, 'c')],
      ['ab', ''.padEnd(201, 'c')],
      ['ab', ''.padEnd(400, 'c')],
      ['a\nb', 'c'],
      ['a', 'bc'],
    ] as const;
    const keys = pairs.map(([tenant, id]) => mediaBlobKey(tenant, id));
    expect(new Set(keys).size).toBe(keys.length);
    const prefixes = keys.map((key) => key.slice(0, -'original'.length));
    for (const prefix of prefixes) expect(keys.filter((key) => key.startsWith(prefix))).toHaveLength(1);
  });

  it.each([
    ['no tenant', '', 'A'],
    ['a lone surrogate', '\ud800', 'A'],
    ['a tenant that is too long', 't'.repeat(MAX_TENANT_BYTES + 1), 'A'],
    ['no id', 'acme', ''],
    ['an id with a way up', 'acme', '../x'],
    ['an id with a NUL', 'acme', 'a\0'],
    ['an id that is too long', 'acme', 'a'.repeat(513)],
    ['an id with an emoji', 'acme', '💾'],
  ])('are not made for %s', (_what, tenant, id) => {
    expect(() => mediaBlobKey(tenant, id)).toThrow(RangeError);
  });

  it('are recognised only as they were written', () => {
    const key = mediaBlobKey('acme', 'A'.repeat(250));
    const [, shard = ''] = key.split('/');
    const variants = [
      key.replace(shard, shard === '00' ? '01' : '00'),
      key.replace('.original', '.thumbnail'),
      `${key}/x`,
      key.toUpperCase(),
      key.replace('t-YWNtZQ', 't-YWNtZR'),
      key.replace('t-YWNtZQ', 't-YWN/t-tZQ'),
      key.replace(`/i-${'A'.repeat(200)}/`, `/i-${'A'.repeat(199)}/i-A/`),
      `/${key}`,
      key.replace('media', 'other'),
      '',
      'media',
      `media/00/t-${'_'.repeat(10)}/i-A.original`,
    ];
    expect(parseMediaBlobKey(key)).not.toBeNull();
    for (const variant of variants) expect([variant, parseMediaBlobKey(variant)]).toEqual([variant, null]);
  });
});
