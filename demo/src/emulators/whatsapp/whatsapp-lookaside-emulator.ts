import { EmulatorServer, splitPath } from '../emulator-server.js';
import type { Answer, EmulatorRequest } from '../faults.js';
import type { WhatsAppMediaStore } from './whatsapp-media-store.js';
import { attachmentAnswer } from './whatsapp-wire.js';

/**
 * lookaside.fbsbx.com, where Meta has the bytes: `GET /whatsapp_business/attachments/?mid&ext&hash` with the same Bearer
 * as the API. Recorded answers redirect nowhere. The statuses 401 (no token) and 404 (stale address) are documented, their
 * bodies are not: pages, as integrators have seen them.
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
