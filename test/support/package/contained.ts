import { chown, mkdtemp, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { RunningProgram } from '../command.js';
import { isInstalled, printedBy } from '../installed-tools.js';

export interface ImageRun {
  /** The image's ENV. */
  readonly env: Readonly<Record<string, string>>;
  /** The image's USER, and its group. */
  readonly user: number;
  /** The folder of the image's last stage. */
  readonly image: string;
  /** What is mounted at `/app/data`. */
  readonly data: string;
  /** What is mounted at the path that MEDIA_CONFIG names. */
  readonly config: string;
  /** An empty folder. */
  readonly folder: string;
}

const TOOLS = ['unshare', 'mount', 'chroot', 'setpriv'];

/** Why a process cannot be contained here; null: it can. */
export async function reasonAgainstContainer(): Promise<string | null> {
  if (process.getuid?.() !== 0) return 'the tests do not run as root';
  for (const tool of TOOLS) if (!(await isInstalled(tool, '--version'))) return `${tool} is not installed`;
  return printedBy('unshare', '--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt').then(
    () => null,
    () => 'mounting is not permitted',
  );
}

/**
 * A root file system that only this process and its children see: the machine's programs and libraries in place of the
 * base image's, the image's files, all read-only, and beside them the volume and an empty /tmp.
 */
const SCRIPT = `
root=$1 image=$2 data=$3 config=$4 node=$5; shift 5
mount -t tmpfs -o mode=755 none "$root"
for name in usr bin sbin lib lib64 dev proc; do
  if [ -L "/$name" ]; then cp -P "/$name" "$root/"; continue; fi
  [ -d "/$name" ] || continue
  mkdir "$root/$name"
  mount --rbind "/$name" "$root/$name"
done
mkdir -p "$root/etc" "$root$(dirname "$MEDIA_CONFIG")" "$root/app" "$root/node" "$root/tmp"
for name in passwd group hosts nsswitch.conf resolv.conf ld.so.cache fonts alternatives; do
  [ ! -e "/etc/$name" ] || cp -a "/etc/$name" "$root/etc/"
done
cp "$config" "$root$MEDIA_CONFIG"
mount --bind "$node" "$root/node"
mount --bind "$image/app" "$root/app"
mount -o remount,bind,ro "$root/app"
mount --bind "$data" "$root/app/data"
mount -t tmpfs -o mode=1777 none "$root/tmp"
mount -o remount,ro "$root"
user=$1; shift
exec chroot "$root" /usr/bin/env --chdir=/app \
  setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs --bounding-set=-all "$@"
`;

/** Runs a command of the image as `docker run --read-only --tmpfs /tmp` does. */
export async function runContained(options: ImageRun, command: readonly string[]): Promise<RunningProgram> {
  const { image, data, config, folder, env, user } = options;
  const root = await mkdtemp(join(folder, 'root-'));
  await chown(data, user, user);
  const places = [root, image, data, config, dirname(process.execPath)];
  const script = ['sh', '-euc', SCRIPT, 'sh', ...places, String(user)];
  return new RunningProgram('unshare', ['--mount', '--propagation', 'private', ...script, ...command], {
    env: { ...env, PATH: '/node:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin' },
  });
}

/** Runs a command of the image in its folder, as the user of the tests. */
export async function runInFolder(options: ImageRun, command: readonly string[]): Promise<RunningProgram> {
  const { image, data, config, env } = options;
  const app = join(image, 'app');
  await rm(join(app, 'data'), { recursive: true, force: true });
  await symlink(data, join(app, 'data'));
  const [program = '', ...args] = command.map((word) => word.replace(/^\/app(?=\/)/, app));
  return new RunningProgram(program === 'node' ? process.execPath : program, args, {
    env: { ...env, PATH: process.env.PATH ?? '', MEDIA_CONFIG: config },
    cwd: app,
  });
}
