import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { brotliCompressSync, constants, createGzip, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { Canary } from '../support/canary.js';
import { until } from '../support/eventually.js';
import { leaksIn } from '../support/leaks.js';
import { padded } from '../support/media-files.js';
import { rawAnswer } from '../support/raw-answer.js';
import { RawServer } from '../support/raw-server.js';
import { samples } from '../support/sample-messages.js';
import { type TestBed, useBeds } from '../support/test-bed.js';
import { attempt, uploadedBy, watchUploads } from '../support/upload-attempts.js';

const MAX_BYTES = 300_000;
const TEST_MS = 30_000;
/** As long as a connection may take to end once its upload has failed; well below the upload's own deadline. */
const HANG_UP_MS = 10_000;

type Source = (response: ServerResponse, path: string) => void;

const photo = samples.photo.bytes;
/** Bytes that do not shrink, so that a cut through their compressed form is a cut through them. */
const noise = Buffer.concat(
  Array.from({ length: 1_000 }, (_, index) => createHash('sha512').update(`${index}`).digest()),
);
const largePhoto = Buffer.concat([photo, noise]);

// The source is on 127.0.0.1, the canary on everything else of this host, which is inside.
const beds = useBeds({
  config: { network: { allowPrivate: ['127.0.0.1/32'] }, upload: { maxBytes: MAX_BYTES } },
});
let bed: TestBed;
let source: RawServer;
let canary: Canary;
let answer: Source;

beforeAll(async () => {
  source = await RawServer.start((request, response) => {
    // An open connection is then one whose body is still held.
    response.shouldKeepAlive = false;
    answer(response, request.url ?? '');
  });
  canary = await Canary.start();
});
afterAll(() => Promise.all([source.close(), canary.close()]));
beforeEach(async () => {
  bed = await beds.shared();
});

const urlOf = (path = '/photo.jpg'): string => source.url + path;

function forever(response: ServerResponse, chunk: Buffer): void {
  const more = () => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on('drain', more);
  more();
}

/** One chunk again and again, at a pace. */
function trickle(response: ServerResponse, send: () => void): void {
  const timer = setInterval(send, 50);
  response.on('close', () => clearInterval(timer));
}

const status =
  (code: number): Source =>
  (response) =>
    response.writeHead(code, { 'content-type': 'image/jpeg' }).end(photo);
const coded =
  (coding: string, bytes: Buffer): Source =>
  (response) =>
    response.writeHead(200, { 'content-type': 'image/jpeg', 'content-encoding': coding }).end(bytes);
const redirect =
  (location: string | readonly string[]): Source =>
  (response) =>
    response.setHeader('location', location).writeHead(302).end();
const page =
  (start: string): Source =>
  (response) =>
    response.setHeader('content-type', 'image/jpeg').end(start);

const FAILING: Readonly<Record<string, Source>> = {
  'a 204': (response) => response.writeHead(204).end(),
  'an unrequested 206': status(206),
  'a 300': status(300),
  'a 304': (response) => response.writeHead(304).end(),
  'a 401': status(401),
  'a 404': status(404),
  'a 429': status(429),
  'a 500': status(500),
  'no bytes, announced': (response) => response.setHeader('content-length', 0).end(),
  'no bytes, in chunks': (response) => {
    response.flushHeaders();
    response.end();
  },
  'no bytes, compressed': coded('gzip', gzipSync('')),
  'less than it announced': (response) => {
    response.setHeader('content-length', largePhoto.length + 1).write(largePhoto, () => response.destroy());
  },
  'chunks without a last one': (response) => {
    response.write(largePhoto, () => response.destroy());
  },
  'a chunk whose length is no number': (response) => {
    rawAnswer(response, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n');
  },
  'a close before any answer': (response) => response.destroy(),
  'another protocol': (response) => {
    rawAnswer(response, 'SSH-2.0-OpenSSH_9.2\r\n');
  },
  'two different lengths': (response) => {
    rawAnswer(response, 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd');
  },
  'a negative length': (response) => {
    rawAnswer(response, 'HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabcde');
  },
  'headers without end': (response) => {
    rawAnswer(response, `HTTP/1.1 200 OK\r\nX-Padding: ${'x'.repeat(100_000)}`);
  },
  'a coding that it is not in': coded('gzip', photo),
  'an unrequested, unknown coding': coded('zstd', photo),
  'five codings': coded('gzip, gzip, gzip, gzip, gzip', gzipSync(gzipSync(gzipSync(gzipSync(gzipSync(photo)))))),
  'a coding that nobody undoes': coded('compress', photo),
  'half of a gzip': coded('gzip', gzipSync(largePhoto).subarray(0, 40_000)),
  'all of a gzip but its checksum': coded('gzip', gzipSync(largePhoto).subarray(0, -8)),
  'a gzip with another checksum': coded('gzip', Buffer.concat([gzipSync(largePhoto).subarray(0, -8), Buffer.alloc(8)])),
  'half of a deflate': coded('deflate', deflateSync(largePhoto).subarray(0, 40_000)),
  'half of a brotli': coded('br', brotliCompressSync(largePhoto).subarray(0, 40_000)),
  'a gzip that breaks off': (response) => {
    const bytes = gzipSync(largePhoto);
    const head = { 'content-encoding': 'gzip', 'content-length': bytes.length };
    response.writeHead(200, head).write(bytes.subarray(0, 40_000), () => response.destroy());
  },
  'six redirects': (response, path) => redirect(`${path}x`)(response, path),
  'a redirect to itself': (response, path) => redirect(path)(response, path),
  'a redirect to nowhere': (response) => response.writeHead(302).end(photo),
  'a redirect to an empty place': redirect(''),
  'a redirect to two places': redirect(['/a', '/b']),
};

const TOO_LARGE: Readonly<Record<string, Source>> = {
  'one byte more than the limit, announced': (response) =>
    response.setHeader('content-length', MAX_BYTES + 1).end(padded(photo, MAX_BYTES + 1)),
  'one byte more than the limit, in chunks': (response) => {
    response.flushHeaders();
    response.end(padded(photo, MAX_BYTES + 1));
  },
  'one byte more than the limit, compressed': coded('gzip', gzipSync(padded(photo, MAX_BYTES + 1))),
  'one byte more than the limit, and a small length that a redirect had': (response, path) => {
    if (path === '/photo.jpg') redirect('/next.jpg')(response, path);
    else response.end(padded(photo, MAX_BYTES + 1));
  },
  'more bytes announced than there are': (response) => {
    rawAnswer(response, 'HTTP/1.1 200 OK\r\nContent-Length: 9007199254740993\r\n\r\n').write(photo);
  },
  'no end': (response) => forever(response, largePhoto),
  'no end, where the length is none': (response) => {
    const socket = rawAnswer(response, 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n');
    const more = () => {
      while (!socket.destroyed && socket.write(largePhoto));
    };
    socket.on('drain', more);
    more();
  },
  'no end, compressed': (response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' });
    const gzip = createGzip();
    gzip.pipe(response);
    response.on('close', () => gzip.destroy());
    const zeros = Buffer.alloc(1_000_000);
    const more = () => {
      while (!gzip.destroyed && gzip.write(zeros));
    };
    gzip.on('drain', more).on('error', () => {});
    more();
  },
  'fifty megabytes in fifty kilobytes of gzip': coded('gzip', gzipSync(Buffer.alloc(50_000_000))),
  'fifty megabytes in a hundred bytes of brotli': coded(
    'br',
    brotliCompressSync(Buffer.alloc(50_000_000), { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
  ),
};

const PAGES: Readonly<Record<string, string>> = {
  'a page': '<!DOCTYPE html><html><body>Please log in</body></html>',
  'a page in capitals behind empty lines': '\r\n\r\n  <HTML><HEAD><TITLE>Log in</TITLE>',
  'a page behind a byte order mark': '\ufeff<!doctype html><title>Log in</title>',
  'a page behind a comment': '<!-- generated -->\n<!doctype html><title>Log in</title>',
  'a form alone': '<form method="post" action="/login"><input name="password"></form>',
  'a page that leads on': '<meta http-equiv="refresh" content="0; url=/login">',
  'a page behind a long comment': `<!--${' licence '.repeat(500)}-->\n<!doctype html><title>Log in</title>`,
  'a page as XHTML':
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">\n<html xmlns="http://www.w3.org/1999/xhtml"><head><title>Log in</title>',
};

async function refusal(code: string, url = urlOf()): Promise<void> {
  const watch = await watchUploads(bed);
  const refused = await attempt(bed, { url });
  expect([refused.code, refused.media]).toEqual([code, null]);
  expect([leaksIn(refused.text, bed), refused.text.includes(String(source.port))]).toEqual([[], false]);
  expect(watch.failed()).toHaveLength(1);
  expect(await watch.leftBehind()).toEqual([]);
  await until('the connections to end', () => source.sockets.size === 0, HANG_UP_MS);
}

describe('a source with', () => {
  const rows = (sources: Readonly<Record<string, Source>>, code: string) =>
    Object.entries(sources).map(([name, behave]) => [name, code, behave] as const);

  it.each([...rows(FAILING, 'SOURCE_FAILED'), ...rows(TOO_LARGE, 'MEDIA_TOO_LARGE')])(
    '%s is %s',
    async (_name, code, behave) => {
      answer = behave;
      await refusal(code);
    },
    TEST_MS,
  );

  it.each(Object.entries(PAGES))(
    '%s under the name of a picture is CONTENT_TYPE_NOT_ALLOWED',
    async (_name, start) => {
      answer = page(start);
      await refusal('CONTENT_TYPE_NOT_ALLOWED');
    },
    TEST_MS,
  );

  it('a closed port is SOURCE_FAILED', async () => {
    const gone = await RawServer.start();
    await gone.close();
    await refusal('SOURCE_FAILED', `${gone.url}/photo.jpg`);
  });

  it('no TLS on an https URL is SOURCE_FAILED', async () => {
    await refusal('SOURCE_FAILED', `https://127.0.0.1:${source.port}/photo.jpg`);
  });

  // Node gives a header that came twice as a list, against its type.
  it.each(['Content-Type: image/jpeg', 'Content-Encoding: gzip', 'Content-Disposition: attachment; filename="a.jpg"'])(
    'two headers "%s" is an upload or SOURCE_FAILED, and ends its connection',
    async (header) => {
      const bytes = header.endsWith('gzip') ? gzipSync(photo) : photo;
      answer = (response) => {
        const head = `HTTP/1.1 200 OK\r\n${header}\r\n${header}\r\nContent-Length: ${bytes.length}\r\n\r\n`;
        rawAnswer(response, head, bytes).end();
      };
      const { code, media } = await attempt(bed, { url: urlOf() });
      expect([media?.sizeBytes, code]).toEqual(code === null ? [photo.length, null] : [undefined, 'SOURCE_FAILED']);
      await until('the connections to end', () => source.sockets.size === 0, HANG_UP_MS);
    },
    TEST_MS,
  );
});

describe('a redirect that ends inside is URL_NOT_ALLOWED', () => {
  const ends: ReadonlyArray<readonly [string, (port: number) => string]> = [
    ['another loopback address', (port) => `http://127.0.0.2:${port}/`],
    ['this host', (port) => `http://0.0.0.0:${port}/`],
    ['an IPv6 loopback', (port) => `http://[::1]:${port}/`],
    ['the open address in an IPv6 one', (port) => `http://[::ffff:127.0.0.1]:${port}/`],
    ['the open address in octal', (port) => `http://0177.0.0.1:${port}/`],
    ['the open address as a number', (port) => `http://2130706433:${port}/`],
    ['a host without a scheme', (port) => `//127.0.0.2:${port}/`],
    ['a host behind backslashes', (port) => `\\\\127.0.0.2:${port}/`],
    ['a host behind three slashes', (port) => `///127.0.0.2:${port}/`],
    ['user information', (port) => `http://user:password@127.0.0.1:${port}/`],
    ['the cloud’s metadata', () => 'http://169.254.169.254/latest/meta-data/'],
    ['a public address on another port', () => 'http://8.8.8.8:6379/'],
    ['a file', () => 'file:///etc/passwd'],
    ['another protocol', (port) => `gopher://127.0.0.2:${port}/_INFO`],
  ];

  it(
    'after one hop and after five',
    async () => {
      answer = (response, path) => {
        const [, left, index] = path.split('/').map(Number);
        const endAt = ends[index ?? 0]?.[1];
        redirect(left !== 1 || !endAt ? `/${Number(left) - 1}/${index}` : endAt(canary.port))(response, path);
      };
      source.requests.length = 0;
      const watch = await watchUploads(bed);
      const tried = await Promise.all(
        ends.flatMap(([end], index) =>
          [1, 5].map(async (hops) => [end, hops, (await attempt(bed, { url: urlOf(`/${hops}/${index}`) })).code]),
        ),
      );
      expect(tried.filter(([, , code]) => code !== 'URL_NOT_ALLOWED')).toEqual([]);
      expect([source.requests.length, watch.failed().length]).toEqual([ends.length * 6, ends.length * 2]);
      expect([canary.connectionCount, await watch.leftBehind()]).toEqual([0, []]);
      await until('the connections to end', () => source.sockets.size === 0, HANG_UP_MS);
    },
    TEST_MS,
  );
});

describe('a source is uploaded whole', () => {
  const whole: Readonly<Record<string, readonly [Buffer, Source]>> = {
    'of exactly the limit, announced': [
      padded(photo, MAX_BYTES),
      (response) => response.setHeader('content-length', MAX_BYTES).end(padded(photo, MAX_BYTES)),
    ],
    'of exactly the limit, in chunks': [
      padded(photo, MAX_BYTES),
      (response) => {
        response.flushHeaders();
        response.end(padded(photo, MAX_BYTES));
      },
    ],
    'of exactly the limit, compressed': [padded(photo, MAX_BYTES), coded('gzip', gzipSync(padded(photo, MAX_BYTES)))],
    'in gzip without a request for it': [largePhoto, coded('x-gzip', gzipSync(largePhoto))],
    'in deflate': [largePhoto, coded('deflate', deflateSync(largePhoto))],
    'in deflate, then gzip': [largePhoto, coded('deflate, gzip', gzipSync(deflateSync(largePhoto)))],
    'in brotli': [largePhoto, coded('br', brotliCompressSync(largePhoto))],
    'in the coding "identity"': [photo, coded('Identity', photo)],
    'in two codings': [photo, coded('gzip, br', brotliCompressSync(gzipSync(photo)))],
    'in deflate without its wrapping': [largePhoto, coded('deflate', deflateRawSync(largePhoto))],
    'in words that are no coding': [photo, coded('UTF-8, none,, binary', photo)],
    'in gzip behind words that are no coding': [photo, coded('aws-chunked, ,GZIP', gzipSync(photo))],
    'in no word': [photo, coded('', photo)],
    'that ends with its connection': [
      largePhoto,
      (response) => {
        rawAnswer(response, 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n').end(largePhoto);
      },
    ],
    'after interim answers': [
      photo,
      (response) => {
        rawAnswer(response, 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'.repeat(3));
        response.end(photo);
      },
    ],
    'after five redirects': [
      photo,
      (response, path) => {
        if (path === '/photo.jpgxxxxx') response.end(photo);
        else redirect(`${path}x`)(response, path);
      },
    ],
    'byte by byte at first': [
      photo,
      (response) => {
        for (const byte of photo.subarray(0, 300)) response.write(Buffer.from([byte]));
        response.end(photo.subarray(300));
      },
    ],
    'as a picture, though its header says text': [
      photo,
      (response) => response.setHeader('content-type', 'text/html').end(photo),
    ],
    'although its header is no type': [photo, (response) => response.setHeader('content-type', ';;=/').end(photo)],
  };

  it.each(Object.entries(whole))(
    '%s',
    async (_name, [bytes, behave]) => {
      answer = behave;
      const media = await uploadedBy(bed, { url: urlOf() });
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      expect(media).toMatchObject({ mimeType: 'image/jpeg', sizeBytes: bytes.length, sha256 });
      const got = await bed.get(media.url);
      expect([got.status, got.bytes.equals(bytes)]).toEqual([200, true]);
    },
    TEST_MS,
  );

  it('or not at all, when it sends more than it announced', async () => {
    answer = (response) => {
      rawAnswer(response, `HTTP/1.1 200 OK\r\nContent-Length: ${photo.length}\r\n\r\n`).write(largePhoto);
    };
    const { media, code } = await attempt(bed, { url: urlOf() });
    // The length ends a body (RFC 9112 section 6.3); what follows is either not read, or makes the answer a broken one.
    expect([media?.sizeBytes, code]).toEqual(code === null ? [photo.length, null] : [undefined, 'SOURCE_FAILED']);
  });
});

describe('a slow source', () => {
  const slow: Readonly<Record<string, Source>> = {
    '/says-nothing': () => {},
    '/headers-without-end': (response) => {
      const socket = rawAnswer(response, 'HTTP/1.1 200 OK\r\n');
      trickle(response, () => void socket.write('X: y\r\n'));
    },
    '/interim-answers-without-end': (response) => trickle(response, () => response.writeEarlyHints({ link: '</x>' })),
    '/falls-silent-at-once': (response) => response.flushHeaders(),
    '/falls-silent-in-its-first-bytes': (response) => void response.write(photo.subarray(0, 20)),
    '/falls-silent-later': (response) => void response.write(padded(photo, 200_000)),
    '/announces-more-than-it-has': (response) =>
      void response.setHeader('content-length', photo.length + 1).write(photo),
    '/trickles': (response) => trickle(response, () => void response.write('x')),
    '/trickles-after-much': (response) => {
      response.write(padded(photo, 200_000));
      trickle(response, () => void response.write('x'));
    },
    '/trickles-compressed': (response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).write(gzipSync(largePhoto).subarray(0, 20));
      trickle(response, () => void response.write('\0'));
    },
    '/redirects-after-a-while': (response, path) => {
      const timer = setTimeout(() => redirect(path)(response, path), 600);
      response.on('close', () => clearTimeout(timer));
    },
  };

  it(
    'is SOURCE_TIMEOUT, at every stage',
    async () => {
      const network = { allowPrivate: ['127.0.0.1/32'] };
      bed = await beds.own({ config: { network, upload: { maxBytes: MAX_BYTES, timeout: '2s' } } });
      answer = (response, path) => slow[path]?.(response, path);
      const watch = await watchUploads(bed);
      const paths = Object.keys(slow);
      const codes = await Promise.all(
        paths.map(async (path) => [path, (await attempt(bed, { url: urlOf(path) })).code] as const),
      );
      expect(codes).toEqual(paths.map((path) => [path, 'SOURCE_TIMEOUT']));
      expect(watch.failed()).toHaveLength(paths.length);
      expect(await watch.leftBehind()).toEqual([]);
      await until('the connections to end', () => source.sockets.size === 0, HANG_UP_MS);
    },
    TEST_MS,
  );

  it(
    'fails the media after the answer when the answer did not wait',
    async () => {
      const network = { allowPrivate: ['127.0.0.1/32'] };
      const upload = { maxBytes: MAX_BYTES, timeout: '2s', respondWithin: '50ms' };
      bed = await beds.own({ config: { network, upload } });
      answer = (response) => void response.write(padded(photo, 200_000));
      const watch = await watchUploads(bed);
      const { media } = await attempt(bed, { url: urlOf() });
      expect(media).toMatchObject({ status: 'PENDING', url: null });
      await until('the upload to fail', () => watch.failed().includes(media?.id ?? ''));
      await until('nothing to be left', async () => (await watch.leftBehind()).length === 0);
      await until('the connections to end', () => source.sockets.size === 0, HANG_UP_MS);
    },
    TEST_MS,
  );

  it(
    'delays no shutdown, neither of the first server nor of the next one, which continues the upload',
    async () => {
      const config = { network: { allowPrivate: ['127.0.0.1/32'] }, upload: { respondWithin: '50ms' } };
      const first = await beds.own({ config });
      answer = slow['/trickles-after-much'] ?? answer;
      const { media } = await attempt(first, { url: urlOf() });
      expect(media?.status).toBe('PENDING');
      await first.app.close();
      await until('the connections to end', () => source.sockets.size === 0, HANG_UP_MS);

      const next = await beds.own({ config, beside: first });
      await until('the upload to go on', () => source.sockets.size === 1);
      await next.app.close();
      await until('the connections to end', () => source.sockets.size === 0, HANG_UP_MS);
    },
    TEST_MS,
  );
});
