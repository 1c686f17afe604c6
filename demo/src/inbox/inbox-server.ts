import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { extname, join, relative, sep } from 'node:path';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

interface BuiltFile {
  readonly bytes: Buffer;
  readonly type: string;
}

/** The output of `vite build`, by path. It is small enough to be held in memory. */
export type BuiltFiles = ReadonlyMap<string, BuiltFile>;

export interface InboxServerOptions {
  readonly files: BuiltFiles;
  /** The origin of pictures, sound and videos. */
  readonly mediaOrigin: string;
  /** Answers `/graphql`. It is at the page's origin, so that CORS is not needed. */
  readonly graphql: RequestListener;
}

/** Serves the built inbox, and the supergraph at the same origin. */
export class InboxServer {
  readonly url: string;

  private constructor(
    private readonly server: Server,
    port: number,
  ) {
    this.url = `http://127.0.0.1:${port}/`;
  }

  static async start({ files, mediaOrigin, graphql }: InboxServerOptions): Promise<InboxServer> {
    const headers = {
      'content-security-policy': policyOver(mediaOrigin),
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    };
    const server = createServer((request, response) => {
      const [path = '/'] = (request.url ?? '/').split('?', 1);
      if (path === '/graphql') graphql(request, response);
      else sendFile(response, files.get(path === '/' ? '/index.html' : path), path, headers);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('expected a TCP address');
    return new InboxServer(server, address.port);
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    // Subscriptions keep their connections open as long as their pages are.
    this.server.closeAllConnections();
    await closed;
  }
}

/** @throws Error with code ENOENT where the folder does not exist */
export async function readBuiltFiles(folder: string): Promise<BuiltFiles> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  const entriesByPath = files.map(async (file): Promise<[string, BuiltFile]> => {
    const path = `/${relative(folder, file).split(sep).join('/')}`;
    return [path, { bytes: await readFile(file), type: TYPES[extname(file)] ?? 'application/octet-stream' }];
  });
  return new Map(await Promise.all(entriesByPath));
}

function sendFile(
  response: ServerResponse,
  file: BuiltFile | undefined,
  path: string,
  headers: Readonly<Record<string, string>>,
): void {
  if (!file) {
    response.writeHead(404, headers).end();
    return;
  }
  // Vite puts a content hash into the names of these files.
  const cacheControl = path.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache';
  response.writeHead(200, { ...headers, 'content-type': file.type, 'cache-control': cacheControl }).end(file.bytes);
}

/** Allows only the page's own files and media, so that a malicious media could not send data anywhere. */
function policyOver(mediaOrigin: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    `img-src 'self' data: ${mediaOrigin}`,
    `media-src ${mediaOrigin}`,
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
