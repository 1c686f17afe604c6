import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Daemon, deployed } from './daemon.js';
import { printedBy } from './installed-tools.js';

export interface VarnishOptions {
  /** Host and port of what stands behind it. */
  readonly origin: URL;
  readonly purgeSecret: string;
  /** Who may purge: an address. */
  readonly purger?: string;
  /** Media beyond it is not kept. */
  readonly largestBytes?: number;
}

/** A real Varnish on a free port, as `deploy/cdn/varnish.vcl` has it. */
export class Varnish {
  private constructor(
    private readonly daemon: Daemon,
    private readonly folder: string,
    readonly url: string,
  ) {}

  static async start(options: VarnishOptions): Promise<Varnish> {
    const { origin, purgeSecret, purger = '127.0.0.1', largestBytes = 33_554_432 } = options;
    const folder = await mkdtemp(join(tmpdir(), 'mediagraph-varnish-'));
    const config = join(folder, 'varnish.vcl');
    const text = await deployed('cdn/varnish.vcl', {
      origin: `.host = "${origin.hostname}"; .port = "${origin.port}";`,
      purgers: `"${purger}";`,
      secret: `if (req.http.X-Purge-Secret != "${purgeSecret}") {`,
      largest: `if (std.integer(beresp.http.Content-Length, 0) > ${largestBytes}) {`,
    });
    await writeFile(config, text);
    const args = ['-F', '-j', 'none', '-n', folder, '-a', '127.0.0.1:0', '-f', config, '-s', 'malloc,64m'];
    let url = '';
    try {
      const daemon = await Daemon.start('varnishd', args, async () => {
        url = await addressOf(folder);
        return url !== '';
      });
      return new Varnish(daemon, folder, url);
    } catch (thrown) {
      await rm(folder, { recursive: true, force: true });
      throw thrown;
    }
  }

  async close(): Promise<void> {
    await this.daemon.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** '' while there is none. */
async function addressOf(folder: string): Promise<string> {
  // Without the wait for a server that is about to start: it may never.
  const answer = await printedBy('varnishadm', '-t', '1', '-n', folder, 'debug.listen_address').catch(() => '');
  const [, host, port] = /^\S+ (\S+) (\d+)$/m.exec(answer) ?? [];
  return host === undefined ? '' : `http://${host}:${port}`;
}
