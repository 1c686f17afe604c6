import { EmulatorServer, splitPath } from '../emulator-server.js';
import type { Answer, EmulatorRequest } from '../faults.js';
import type { WhatsAppMediaStore } from './whatsapp-media-store.js';
import { attachmentAnswer } from './whatsapp-wire.js';

/**
 * lookaside.fbsbx.com, the origin of Meta's bytes: `GET /whatsapp_business/attachments/?mid&ext&hash` with the API's
 * Bearer token. Recorded responses do not redirect. The statuses 401 (no token) and 404 (expired URL) are documented.
 * Their bodies are not; they are HTML pages, as integrators report them.
 */
export class WhatsAppLookasideEmulator extends EmulatorServer {
  constructor(
    private readonly token: string,
    private readonly store: WhatsAppMediaStore,
  ) {
    super();
  }

  protected answer(request: EmulatorRequest): Answer {
    if (request.headers.authorization !== `Bearer ${this.token}`) return this.errorAnswer(401);
    const { pathname, query } = splitPath(request.path);
    if (request.method !== 'GET' || pathname !== '/whatsapp_business/attachments/') return this.errorAnswer(404);
    const media = this.store.open(query);
    return media ? attachmentAnswer(media) : this.errorAnswer(404);
  }

  protected errorAnswer(status: number): Answer {
    const body = `<!DOCTYPE html><html lang="en"><head><title>Error</title></head><body><h1>${status}</h1></body></html>`;
    return { status, headers: { 'content-type': 'text/html; charset=utf-8' }, body };
  }
}
