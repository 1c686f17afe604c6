/**
 * SignalWire as far as a query asks it, in a process of its own: every message that anyone names has one photo, so that
 * there is always one that nobody asked for before. `argv[2]`: how long an answer waits, milliseconds. Prints its
 * {@link Provider} when it listens; `GET {url}/__count` answers how many API requests there were.
 */
import { CdnEmulator } from '../../demo/src/emulators/cdn-emulator.js';
import type { Answer, EmulatorRequest } from '../../demo/src/emulators/faults.js';
import { LamlEmulator } from '../../demo/src/emulators/laml/laml-emulator.js';
import { loadMediaSamples } from '../../demo/src/emulators/media-samples.js';
import { signalwireMediaSid, signalwireMessageSid, signalwireProjectId } from '../../demo/src/emulators/sample-ids.js';
import type { Provider } from './provider.js';

const MODEL = { message: signalwireMessageSid(0), media: signalwireMediaSid(0) };
/** The last part of the message's SID is its index. */
const MESSAGE = /\/Messages\/([0-9a-f-]{24}(\d{12}))\/Media\.json/;

/** Knows one message, and answers for any other what it would for that one, with the other's names. */
class BoundlessEmulator extends LamlEmulator {
  protected override control(_method: string, path: string): Answer | null {
    if (path !== '/__count') return null;
    return { status: 200, headers: { 'content-type': 'application/json' }, body: String(this.requestCount) };
  }

  protected override answer(request: EmulatorRequest): Answer {
    const [, message = '', index = ''] = MESSAGE.exec(request.path) ?? [];
    if (message === '') return super.answer(request);
    const answer = super.answer({ ...request, path: request.path.replace(message, MODEL.message) });
    if (typeof answer.body !== 'string') return answer;
    const media = signalwireMediaSid(Number(index));
    return { ...answer, body: answer.body.replaceAll(MODEL.message, message).replaceAll(MODEL.media, media) };
  }
}

const account = { accountSid: signalwireProjectId(1), username: signalwireProjectId(1), password: 'PT-bench' };
// The address of the bytes, which the benchmark never opens.
const emulator = new BoundlessEmulator({ flavour: 'signalwire', ...account, cdn: new CdnEmulator() });
emulator.addMessage({ sid: MODEL.message, media: [{ ...loadMediaSamples().photo, sid: MODEL.media }] });
emulator.latencyMs = Number(process.argv[2] ?? 0);
await emulator.start();
const provider: Provider = { url: emulator.url, baseUrl: emulator.baseUrl, ...account };
process.stdout.write(`${JSON.stringify(provider)}\n`);
