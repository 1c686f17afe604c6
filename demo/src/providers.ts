import { CdnEmulator } from './emulators/cdn-emulator.js';
import { loadMediaSamples } from './emulators/media-samples.js';
import type { DemoLine } from './line.js';
import { messageIdOf } from './message-id.js';
import { startMms, startSales, startSms, startSupport } from './tour/listing-lines.js';
import { startChakra, startCloud, startGateway, startGupshup } from './tour/webhook-lines.js';

/** The emulated providers, and the messages that customers sent through them. */
export interface DemoProviders {
  readonly lines: readonly DemoLine[];
  /** A picture on a website that is no provider's. */
  readonly pictureUrl: string;
  /** The number of requests to all providers so far. */
  requestCount(): number;
  close(): Promise<void>;
}

const PICTURE = 'website/team-photo.jpg';

/** Starts all seven providers, and a second line at Kirim that is down. */
export async function startDemoProviders(): Promise<DemoProviders> {
  const cdn = await new CdnEmulator().start();
  const lines = await Promise.all([
    startSupport(cdn),
    startSms(cdn),
    startMms(cdn),
    startChakra(),
    startCloud(),
    startGateway(),
    startGupshup(),
    startSales(cdn),
  ]);
  cdn.put(PICTURE, loadMediaSamples().photo);
  const servers = [cdn, ...lines.flatMap((line) => line.servers)];
  return {
    lines,
    pictureUrl: cdn.publicUrl(PICTURE),
    requestCount: () => servers.reduce((sum, { requestCount }) => sum + requestCount, 0),
    close: async () => {
      await Promise.all(servers.map((server) => server.close()));
    },
  };
}

/** The messages' ids in GraphQL. They are the same in every run, and in schema/operations. */
export function messageIdsOf({ channel, messages }: DemoLine): string[] {
  return messages.map((providerMessageId) => messageIdOf(channel.id, providerMessageId));
}
