import { type MediaGrant, type SigningKey, UrlSigner } from '../../../src/links/signed-url.js';
import { MediagraphError } from '../../../src/model/errors.js';
import { ORIGINAL } from '../../../src/model/rendition.js';

const BASE = 'https://cdn.example.com';
const NOW = Date.UTC(2026, 10, 21, 12, 0, 1);
const HOUR = 3_600_000;
const K1: SigningKey = { id: 'k1', secret: 'first secret of these tests' };
const K2: SigningKey = { id: 'k2', secret: 'second secret of these tests' };

function signer(keys: readonly SigningKey[] = [K1], ttlMs = HOUR): UrlSigner {
  return new UrlSigner({ keys, baseUrl: () => BASE, ttlMs });
}

function grant(overrides: Partial<MediaGrant> = {}): MediaGrant {
  return {
    mediaId: 'AQNzbXM',
    filename: 'photo.jpg',
    disposition: 'inline',
    rendition: ORIGINAL,
    boundToOrigins: false,
    expiresAt: signer().expiry(NOW),
    ...overrides,
  };
}

function targetOf(url: string): string {
  return url.slice(BASE.length);
}

function outcomeOf(signer: UrlSigner, url: string, now = NOW): string {
  try {
    signer.verify(url, now);
  } catch (thrown) {
    return thrown instanceof MediagraphError ? thrown.code : String(thrown);
  }
  return 'accepted';
}

describe('a signed URL', () => {
  it.each(['photo.jpg', 'Ünïcode 漢字 🙂.pdf', "it's (1)!*.png", 'a%2Fb?c#d&sig=x', '‮gpj.exe'])(
    'carries the name %j through and back',
    (filename) => {
      const signedGrant = grant({ filename, disposition: 'attachment' });
      expect(signer().verify(targetOf(signer().sign(signedGrant)), NOW)).toEqual(signedGrant);
    },
  );

  it('has nothing in its path that a proxy would re-encode', () => {
    const { pathname } = new URL(signer().sign(grant({ filename: "a b'(c)!*~é.jpg" })));
    expect(pathname).toMatch(/^\/media\/[\w-]+\/[A-Za-z0-9._~%-]+$/);
  });

  it('is the same for a quarter of its lifetime, and never shorter-lived than promised', () => {
    const windows = new Set<number>();
    for (let elapsedMs = 0; elapsedMs < HOUR; elapsedMs += 60_000) {
      const expiry = signer()
        .expiry(NOW + elapsedMs)
        .getTime();
      expect(expiry).toBeGreaterThanOrEqual(NOW + elapsedMs + HOUR);
      expect(expiry).toBeLessThanOrEqual(NOW + elapsedMs + HOUR * 1.25);
      windows.add(expiry);
    }
    expect(windows.size).toBeLessThanOrEqual(5);
  });

  it('never outlives the media', () => {
    const end = new Date(NOW + 90_500);
    expect(signer().expiry(NOW, undefined, end)).toEqual(new Date(Math.floor(end.getTime() / 1000) * 1000));
  });

  it('is refused after any change, whatever it changes', () => {
    const url = targetOf(signer().sign(grant({ filename: 'Photo.jpg' })));
    const changed = [
      ...[...url].flatMap((char, at) =>
        ['A', 'b', '0', '_']
          .filter((other) => other !== char)
          .map((other) => url.slice(0, at) + other + url.slice(at + 1)),
      ),
      ...[...url].map((_, at) => url.slice(0, at) + url.slice(at + 1)),
      `${url}=`,
      `${url}&x=1`,
      `${url}#x`,
      url.replace('?', '?x=1&'),
      url.replace('d=inline', 'd=attachment'),
      url.replace('d=inline', 'd=inline&d=attachment'),
      url.replace('&kid=k1', '').replace('&exp=', '&kid=k1&exp='),
      url.replace('/media/', '//media/'),
      url.replace('/media/', '/MEDIA/'),
      url.replace('/Photo', '/x/../Photo'),
      url.replace('Photo', '%50hoto'),
      url.toUpperCase(),
      url.split('&sig=')[0] ?? '',
      '',
      '&sig=',
      '?&sig=',
    ];
    expect(
      changed.filter((variant) => variant !== url && outcomeOf(signer(), variant) !== 'SIGNATURE_INVALID'),
    ).toEqual([]);
  });

  it('is refused as changed, not as expired, when it is both', () => {
    const url = targetOf(signer().sign(grant()));
    const late = NOW + 10 * HOUR;
    expect(outcomeOf(signer(), url, late)).toBe('URL_EXPIRED');
    expect(outcomeOf(signer(), url.replace('photo', 'other'), late)).toBe('SIGNATURE_INVALID');
  });

  it('expires at the second it says', () => {
    const signedGrant = grant();
    const url = targetOf(signer().sign(signedGrant));
    expect(outcomeOf(signer(), url, signedGrant.expiresAt.getTime() - 1)).toBe('accepted');
    expect(outcomeOf(signer(), url, signedGrant.expiresAt.getTime())).toBe('URL_EXPIRED');
  });

  it('outlives a rotation of keys while its key is still known', () => {
    const old = targetOf(signer([K1]).sign(grant()));
    expect(outcomeOf(signer([K2, K1]), old)).toBe('accepted');
    expect(signer([K2, K1]).sign(grant())).toContain('kid=k2');
    expect(outcomeOf(signer([K2]), old)).toBe('SIGNATURE_INVALID');
  });

  it('of another secret under the same key id is refused', () => {
    const forged = targetOf(signer([{ ...K1, secret: 'not the secret of these tests' }]).sign(grant()));
    expect(outcomeOf(signer(), forged)).toBe('SIGNATURE_INVALID');
  });
});
