import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { RawServer } from './raw-server.js';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** A Chromium on the PATH; null where none is installed. */
export async function findBrowser(): Promise<string | null> {
  const folders = (process.env.PATH ?? '').split(delimiter);
  for (const path of NAMES.flatMap((name) => folders.map((folder) => join(folder, name)))) {
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return path;
  }
  return null;
}

/** Without a window. Names below `.example` lead to this host, sound needs no click, nothing asks the network at large. */
export function startBrowser(executablePath: string): Promise<Browser> {
  const isRoot = process.getuid?.() === 0;
  return chromium.launch({
    executablePath,
    args: [
      '--host-resolver-rules=MAP *.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
      '--autoplay-policy=no-user-gesture-required',
      '--disable-popup-blocking',
      // Chromium's own sandbox needs what root in a container does not have.
      ...(isRoot ? ['--no-sandbox'] : []),
    ],
  });
}

/** Pages of other sites than Mediagraph's: one server, as many names as a test likes. */
export class Pages {
  readonly #pages = new Map<string, string>();

  private constructor(private readonly server: RawServer) {}

  static async start(): Promise<Pages> {
    const pages: Pages = new Pages(
      await RawServer.start((request, response) => {
        const html = pages.#pages.get(request.url ?? '');
        response.writeHead(html === undefined ? 404 : 200, { 'content-type': 'text/html; charset=utf-8' });
        response.end(`<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">${html ?? ''}`);
      }),
    );
    return pages;
  }

  /** The origin of pages at a host. @param host ends in `.example` */
  origin(host: string): string {
    return `http://${host}:${this.server.port}`;
  }

  /** Where a page of such a host is from now on. */
  put(host: string, path: string, html: string): string {
    this.#pages.set(path, html);
    return this.origin(host) + path;
  }

  close(): Promise<void> {
    return this.server.close();
  }
}
