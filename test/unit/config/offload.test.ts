import { faultsOf, loadText, parse } from './configurations.js';

describe('storage.fileMode and storage.folderMode', () => {
  test.each(['0640', '640', '0o640', 640])('%j gives the group the right to read', (fileMode) => {
    expect(parse({ storage: { fileMode } }).storage.fileMode).toBe(0o640);
  });

  // YAML 1.2 reads 0640 as the decimal 640.
  test.each(['0640', '0o640', '640', '"0640"'])('%s in a file is octal', async (written) => {
    const { storage } = await loadText(`storage: { fileMode: ${written}, folderMode: 0750 }\nchannels: []`);
    expect([storage.fileMode, storage.folderMode]).toEqual([0o640, 0o750]);
  });

  test.each([
    // The owner could not read and write.
    ...['0400', '0200', '0000', '0077'],
    // Others could write.
    ...['0642', '0666', '0777'],
    // Set-user-ID, set-group-ID and sticky bits.
    ...['4640', '2640', '1640'],
    ...['00640', '640.5', '0x1a0', '0898', '-640', '+640', 'u=rw', '', ' ', null, true, 416, 384, [6, 4, 0]],
  ])('the file mode %j is a fault', (fileMode) => {
    expect(faultsOf({ storage: { fileMode } })).toEqual([
      expect.stringMatching(/^storage\.fileMode: expected permissions of three or four octal digits such as "0640"/),
    ]);
  });

  test('the owner has to be able to enter folders', () => {
    expect(faultsOf({ storage: { folderMode: '0640' } })).toEqual([
      'storage.folderMode: expected permissions of three or four octal digits such as "0750", in which the owner may read, write and enter and others may not write',
    ]);
  });
});

describe('delivery.offload', () => {
  test.each(['/blobs/', '/internal/media-1.0/', '/MEDIA/', '/mediagraph/', '/_/~x/'])(
    'the prefix %j',
    (offloadPrefix) => {
      expect(parse({ delivery: { offloadPrefix } }).delivery.offloadPrefix).toBe(offloadPrefix);
    },
  );

  test.each([
    ...['', '/', 'blobs/', '/blobs', '/blobs//', '//blobs/', '@blobs/', 'http://h/blobs/'],
    ...['/../', '/blobs/../', '/blobs/./', '/.hidden/', '/%2e%2e/'],
    ...['/a b/', '/a\r\nX-Y: z/', '/a\0/', '/blöbs/', '/$uri/', '/blobs/?x=/', '/blobs/#/', '/a;b/', '/a\\b/'],
    `/${'a'.repeat(200)}/`,
  ])('the prefix %j is a fault', (offloadPrefix) => {
    expect(faultsOf({ delivery: { offloadPrefix } })).toEqual([
      'delivery.offloadPrefix: expected a path of at most 200 letters, digits and -._~ that starts and ends with "/", with no part that starts with a dot, such as /blobs/',
    ]);
  });

  test.each(['media', 'graphql', 'webhooks', 'livez', 'readyz', 'metrics'])('the prefix /%s/ is a route', (route) => {
    for (const offloadPrefix of [`/${route}/`, `/${route}/files/`])
      expect(faultsOf({ delivery: { offloadPrefix } })).toEqual([
        `delivery.offloadPrefix: expected a path that is no route of this server; /${route} is one`,
      ]);
  });

  test('another word is a fault', () => {
    expect(faultsOf({ delivery: { offload: 'sendfile' } })).toEqual([
      expect.stringMatching(/^delivery\.offload: expected .*x-accel-redirect.*got "sendfile"$/),
    ]);
  });
});
