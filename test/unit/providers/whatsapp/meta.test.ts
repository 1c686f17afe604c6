import type { Fault } from '../../../../demo/src/emulators/faults.js';
import {
  BEARER,
  bytesOf,
  type Connection,
  credentialsAt,
  describeOne,
  GRAPH_ERROR,
  LOOPBACK,
  MEDIA_ID,
  OF_CHANNEL,
  openedBytes,
  PAGE,
  PHONE_NUMBER_ID,
  PHOTO_DETAILS,
  refOf,
  refusalOf,
  samples,
  startElsewhere,
  startMeta,
} from './setup.js';

describe('a channel of Meta', () => {
  it('can describe and open, and cannot list', async () => {
    const { adapter } = await startMeta();
    expect(adapter.provider).toBe('whatsapp-cloud');
    expect(adapter.mediaPerMessage).toBe('one');
    expect(adapter.listMedia).toBeUndefined();
  });

  it('describes by id, version and number, without touching the bytes', async () => {
    const { meta, adapter } = await startMeta({ options: { apiVersion: 'v22.0' } });
    expect(await describeOne(adapter)).toEqual(PHOTO_DETAILS);
    expect(meta.requests).toMatchObject([
      { path: `/v22.0/${MEDIA_ID}?phone_number_id=${PHONE_NUMBER_ID}`, headers: { authorization: BEARER } },
    ]);
    expect(meta.requests[0]?.headers['user-agent']).toMatch(/mediagraph/);
    expect(meta.lookaside.requestCount).toBe(0);
  });

  it('uses v23.0 by default, and keeps the parameters of a type', async () => {
    const { meta, adapter } = await startMeta();
    meta.addMedia({ ...samples.voiceNote, id: '7' });
    expect(await describeOne(adapter, '7')).toMatchObject({ kind: 'AUDIO', mimeType: 'audio/ogg; codecs=opus' });
    expect(meta.requests[0]?.path).toMatch(/^\/v23\.0\/7\?/);
  });

  it('reads a size that comes as a text', async () => {
    const { meta, adapter } = await startMeta();
    meta.fileSizeAsString = true;
    expect(await describeOne(adapter)).toEqual(PHOTO_DETAILS);
  });

  it.each([
    ['a hash in Base64', { sha256: 'kM47fJ38zmqvyy3Pw9aYupZ4Cr5rqoEGGyssBX5KFkA=' }],
    ['a hash of another length', { sha256: 'abc' }],
    ['a size below zero', { file_size: -1 }],
    ['half a byte', { file_size: 1.5 }],
    ['a size in words', { file_size: '12 kB' }],
    ['a size beyond counting', { file_size: '9999999999999999' }],
    ['a type that is none', { mime_type: 'image' }],
    ['values of other kinds', { sha256: 1, file_size: [], mime_type: {} }],
    ['no more than an address', {}],
  ])('treats unusable values as unknown: %s', async (_name, fields) => {
    const { meta, adapter } = await startMeta();
    meta.fault = { kind: 'body', body: JSON.stringify({ url: 'https://lookaside.fbsbx.com/x', ...fields }) };
    expect(await describeOne(adapter)).toMatchObject({ kind: null, mimeType: null, sizeBytes: null, sha256: null });
  });

  it('writes a hash in lower case', async () => {
    const { meta, adapter } = await startMeta();
    meta.fault = { kind: 'body', body: JSON.stringify({ url: 'https://x.test/', sha256: 'AB'.repeat(32) }) };
    expect(await describeOne(adapter)).toMatchObject({ sha256: 'ab'.repeat(32) });
  });

  it('answers in the order of the references', async () => {
    const { meta, adapter } = await startMeta();
    meta.addMedia({ ...samples.document, id: '8' });
    const answers = await adapter.describeMedia([refOf(MEDIA_ID), refOf('404'), refOf(null), refOf('8')], {});
    expect(answers).toEqual([
      PHOTO_DETAILS,
      expect.objectContaining({ code: 'MEDIA_NOT_FOUND' }),
      expect.objectContaining({ code: 'MEDIA_NOT_FOUND' }),
      expect.objectContaining({ kind: 'DOCUMENT', mimeType: 'application/pdf' }),
    ]);
  });

  it('opens the bytes at the origin of media, with the credentials', async () => {
    const { meta, adapter } = await startMeta();
    const stream = await adapter.openMedia(refOf(MEDIA_ID), {});
    expect(stream).toMatchObject({
      declaredMimeType: 'image/jpeg',
      sizeBytes: samples.photo.bytes.length,
      filename: null,
    });
    expect(await bytesOf(stream)).toEqual(samples.photo.bytes);
    expect(credentialsAt(meta)).toEqual([BEARER]);
    expect(credentialsAt(meta.lookaside)).toEqual([BEARER]);
    expect(meta.lookaside.requests[0]?.headers).toMatchObject({ 'accept-encoding': 'identity' });
    expect(meta.lookaside.requests[0]?.headers).not.toHaveProperty('content-type');
  });

  it.each([null, 'application/octet-stream'])(
    'declares the type of the metadata when the bytes have %s',
    async (contentType) => {
      const { meta, adapter } = await startMeta();
      meta.addMedia({ ...samples.voiceNote, id: '7', contentType });
      const stream = await adapter.openMedia(refOf('7'), {});
      expect(stream.declaredMimeType).toBe('audio/ogg; codecs=opus');
      expect(await bytesOf(stream)).toEqual(samples.voiceNote.bytes);
    },
  );

  it('never opens the address of a webhook, but requests a new one', async () => {
    const { meta, adapter } = await startMeta({ options: { allowPrivate: LOOPBACK } });
    const cdn = await startElsewhere();
    const ref = { ...refOf(MEDIA_ID), downloadUrl: cdn.publicUrl('whatsapp_business/attachments/') };
    expect(await bytesOf(await adapter.openMedia(ref, {}))).toEqual(samples.photo.bytes);
    expect(cdn.requestCount).toBe(0);
    expect(meta.requestCount).toBe(1);
  });

  it('keeps no address: each opening requests one', async () => {
    const { meta, adapter } = await startMeta();
    await openedBytes(adapter);
    await openedBytes(adapter);
    expect(meta.requestCount).toBe(2);
    expect(meta.lookaside.requestCount).toBe(2);
  });

  it('refuses more bytes than the limit of this server', async () => {
    const { adapter } = await startMeta({ maxBytes: 100 });
    expect(await refusalOf(adapter)).toMatchObject({ code: 'MEDIA_TOO_LARGE', details: OF_CHANNEL });
  });

  it.each([null, '', '.', '..', '../x', 'a/b', 'a%2fb', 'a?b', 'ä', '1 2', '1'.repeat(71)])(
    'knows without a request that there is no media %p',
    async (id) => {
      const { meta, adapter } = await startMeta();
      expect(await refusalOf(adapter, id)).toMatchObject({ code: 'MEDIA_NOT_FOUND', details: OF_CHANNEL });
      expect(await describeOne(adapter, id)).toMatchObject({ code: 'MEDIA_NOT_FOUND' });
      expect(meta.requestCount).toBe(0);
    },
  );
});

describe('a media that is gone', () => {
  it('is a 400 at Meta, requested once per call, and not again in the next', async () => {
    const { meta, adapter } = await startMeta({ policy: { retries: 2 } });
    meta.expire(MEDIA_ID);
    expect(await describeOne(adapter)).toMatchObject({
      code: 'MEDIA_NOT_FOUND',
      details: {
        ...OF_CHANNEL,
        upstreamStatus: 400,
        upstreamCode: '100',
        upstreamRequestId: expect.stringMatching(/^ATf5-CLoxGyJe\d{10}$/),
      },
    });
    expect(meta.requestCount).toBe(1);
    expect(await describeOne(adapter)).toMatchObject({ code: 'MEDIA_NOT_FOUND' });
    expect(await refusalOf(adapter)).toMatchObject({ code: 'MEDIA_NOT_FOUND', details: OF_CHANNEL });
    expect(meta.requestCount).toBe(1);
  });

  it('does not affect other media', async () => {
    const { meta, adapter } = await startMeta();
    meta.addMedia({ ...samples.sticker, id: '9' });
    meta.expire(MEDIA_ID);
    expect(await refusalOf(adapter)).toMatchObject({ code: 'MEDIA_NOT_FOUND' });
    expect(await openedBytes(adapter, '9')).toEqual(samples.sticker.bytes);
  });

  it('is one that was sent to another number', async () => {
    const { adapter } = await startMeta({ options: { phoneNumberId: '1' } });
    expect(await describeOne(adapter)).toMatchObject({ code: 'MEDIA_NOT_FOUND' });
  });

  it.each([
    ['a parameter that Meta did not like', { kind: 'status', status: 400, body: GRAPH_ERROR(100) }],
    ['a page with status 404', { kind: 'status', status: 404, body: PAGE, headers: { 'Content-Type': 'text/html' } }],
    ['a refusal without words', { kind: 'status', status: 400, body: '' }],
  ] satisfies Array<[string, Fault]>)('is not %s', async (_name, fault) => {
    const { meta, adapter } = await startMeta();
    meta.faults.push({ match: /./, fault, times: 1 });
    expect(await describeOne(adapter)).toMatchObject({ code: 'PROVIDER_REJECTED' });
    expect(await describeOne(adapter)).toEqual(PHOTO_DETAILS);
  });

  it('can be a 404 of the API', async () => {
    const { meta, adapter } = await startMeta();
    meta.faults.push({ match: /./, fault: { kind: 'status', status: 404 }, times: 1 });
    expect(await describeOne(adapter)).toMatchObject({ code: 'MEDIA_NOT_FOUND', details: { upstreamStatus: 404 } });
  });
});

describe('what Meta refuses', () => {
  it.each([
    [401, GRAPH_ERROR(190), 'PROVIDER_CREDENTIALS', undefined],
    [400, GRAPH_ERROR(190), 'PROVIDER_CREDENTIALS', undefined],
    [400, GRAPH_ERROR(4), 'PROVIDER_RATE_LIMITED', true],
    [400, GRAPH_ERROR(80007), 'PROVIDER_RATE_LIMITED', true],
    [403, GRAPH_ERROR(130429), 'PROVIDER_RATE_LIMITED', true],
    [429, GRAPH_ERROR(80007), 'PROVIDER_RATE_LIMITED', true],
    [403, GRAPH_ERROR(10), 'PROVIDER_CREDENTIALS', undefined],
    [500, GRAPH_ERROR(1), 'PROVIDER_UNAVAILABLE', true],
    [500, GRAPH_ERROR(100, 33), 'PROVIDER_UNAVAILABLE', true],
  ])('with status %i and %s is %s', async (status, body, code, retryable) => {
    const { meta, adapter } = await startMeta();
    meta.faults.push({
      match: /./,
      fault: { kind: 'status', status, body, headers: { 'Retry-After': '7' } },
      times: 1,
    });
    const refusal = await refusalOf(adapter);
    expect(refusal).toMatchObject({
      code,
      details: { ...OF_CHANNEL, upstreamStatus: status, upstreamRequestId: 'AbC-1' },
    });
    expect(refusal.details.retryable).toBe(retryable);
    if (code === 'PROVIDER_RATE_LIMITED') expect(refusal.details.retryAfterMs).toBe(7_000);
    expect(await openedBytes(adapter)).toEqual(samples.photo.bytes);
  });

  it('is read from the header when the body has no code', async () => {
    const { meta, adapter } = await startMeta();
    meta.fault = { kind: 'status', status: 400, body: PAGE, headers: { 'X-Fb-Request-Id': 'AbC-2' } };
    expect(await describeOne(adapter)).toMatchObject({ details: { upstreamRequestId: 'AbC-2' } });
  });

  it('is reported without its own message, hosts and credentials', async () => {
    const { meta, adapter } = await startMeta();
    meta.expire(MEDIA_ID);
    const { message, details } = await refusalOf(adapter);
    expect(message).toBe('expected this media, got the answer that the provider does not have it (any more)');
    expect(JSON.stringify(details)).not.toMatch(/127\.0\.0\.1|facebook|EAAJB/);
  });
});

describe('metadata of another kind', () => {
  it.each([
    ['a page', { kind: 'body', body: PAGE, contentType: 'text/html' }],
    ['half a JSON', { kind: 'body', body: '{"url":"https:' }],
    ['nothing', { kind: 'body', body: '' }],
    ['an envelope', { kind: 'body', body: JSON.stringify({ _data: { url: 'https://x.test/' } }) }],
    ['a backslash', { kind: 'body', body: JSON.stringify({ url: 'https://lookaside.fbsbx.com\\@x.test/' }) }],
    ['a tab', { kind: 'body', body: JSON.stringify({ url: 'https://look\taside.fbsbx.com/' }) }],
    ['a relative address', { kind: 'body', body: JSON.stringify({ url: '//x.test/' }) }],
    ['an address of another kind', { kind: 'body', body: JSON.stringify({ url: 'file:///etc/passwd' }) }],
    ['an empty address', { kind: 'body', body: JSON.stringify({ url: '' }) }],
    ['an endless address', { kind: 'body', body: JSON.stringify({ url: `https://x.test/${'x'.repeat(9_000)}` }) }],
    [
      'ten megabytes',
      { kind: 'body', body: JSON.stringify({ url: 'https://x.test/', padding: 'x'.repeat(10_000_000) }) },
    ],
    ['an answer that is cut off', { kind: 'cut', afterBytes: 20 }],
  ] satisfies Array<[string, Fault]>)('is a fault: %s', async (_name, fault) => {
    const { meta, adapter } = await startMeta();
    meta.faults.push({ match: /./, fault, times: 2 });
    const expected = fault.kind === 'cut' ? /^PROVIDER_(PROTOCOL|UNAVAILABLE)$/ : /^PROVIDER_PROTOCOL$/;
    expect(await describeOne(adapter)).toMatchObject({ code: expect.stringMatching(expected) });
    expect((await refusalOf(adapter)).code).toMatch(expected);
    expect(meta.lookaside.requestCount).toBe(0);
    expect(await openedBytes(adapter)).toEqual(samples.photo.bytes);
  });
});

describe('silence', () => {
  const IMPATIENT: Connection = { policy: { timeoutMs: 200 } };
  const UNAVAILABLE = { code: 'PROVIDER_UNAVAILABLE', details: { ...OF_CHANNEL, retryable: true } };

  it('of the API ends with the deadline', async () => {
    const { meta, adapter } = await startMeta(IMPATIENT);
    meta.fault = { kind: 'hang' };
    expect(await describeOne(adapter)).toMatchObject(UNAVAILABLE);
    expect(await refusalOf(adapter)).toMatchObject(UNAVAILABLE);
  });

  it('of the origin of media ends with the deadline', async () => {
    const { meta, adapter } = await startMeta(IMPATIENT);
    meta.lookaside.fault = { kind: 'hang' };
    expect(await refusalOf(adapter)).toMatchObject(UNAVAILABLE);
  });

  it('within the bytes fails the stream', async () => {
    const { meta, adapter } = await startMeta(IMPATIENT);
    meta.lookaside.fault = { kind: 'hang-in-body', afterBytes: 1_000 };
    const stream = await adapter.openMedia(refOf(MEDIA_ID), {});
    await expect(bytesOf(stream)).rejects.toMatchObject({ name: 'NetError', code: 'TIMEOUT' });
  });

  it('ends with the abort of its caller', async () => {
    const { meta, adapter } = await startMeta();
    const caller = new AbortController();
    const gone = new Error('the caller is gone');
    meta.lookaside.faults.push({
      match: () => {
        caller.abort(gone);
        return true;
      },
      fault: { kind: 'hang' },
    });
    await expect(adapter.openMedia(refOf(MEDIA_ID), { signal: caller.signal })).rejects.toBe(gone);
  });
});
