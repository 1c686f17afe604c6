/**
 * The three providers with their media, in a process of its own. `argv[2]`: how many media there are. Prints where it
 * listens ({@link Providers}) when all do.
 */
import { CdnEmulator } from '../../demo/src/emulators/cdn-emulator.js';
import { KirimEmulator } from '../../demo/src/emulators/kirim/kirim-emulator.js';
import { WaGatewayEmulator } from '../../demo/src/emulators/wa-gateway/wa-gateway-emulator.js';
import { WhatsAppEmulator } from '../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import {
  GATEWAY_APP_ID,
  gatewayMedia,
  kirimCdnKey,
  lineOf,
  metaMediaId,
  PHONE_NUMBER_ID,
  type Providers,
  photoOf,
  SECRETS,
} from './lines.js';

const meta = new WhatsAppEmulator({
  token: SECRETS.metaToken,
  phoneNumberId: PHONE_NUMBER_ID,
  appSecret: SECRETS.metaApp,
});
const gateway = new WaGatewayEmulator({
  appId: GATEWAY_APP_ID,
  token: SECRETS.gatewayToken,
  webhookSecret: SECRETS.gatewayWebhook,
});
const cdn = new CdnEmulator();
// Kirim's API itself knows no message: a webhook that was lost must not be made good by a listing.
const kirim = new KirimEmulator({ token: SECRETS.kirimToken, cdn, rateLimit: { limit: 1_000_000, windowMs: 60_000 } });

function add(index: number): void {
  switch (lineOf(index)) {
    case 'meta':
      meta.addMedia({ ...photoOf(index), id: metaMediaId(index) });
      break;
    case 'gateway':
      gateway.addMedia(gatewayMedia(index));
      break;
    case 'kirim':
      cdn.put(kirimCdnKey(index), photoOf(index));
  }
}

for (let index = 0; index < Number(process.argv[2]); index += 1) add(index);
await Promise.all([meta, gateway, cdn, kirim].map((emulator) => emulator.start()));
const providers: Providers = {
  meta: meta.url,
  lookaside: meta.lookaside.url,
  gateway: gateway.url,
  kirim: kirim.url,
  cdn: cdn.url,
};
process.stdout.write(`${JSON.stringify(providers)}\n`);
