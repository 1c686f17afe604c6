import type { Config } from '../config/config.js';
import type { KnownHosts } from '../http/known-host.js';
import { decodeMediaId } from '../model/ids.js';
import type { ChannelDirectory } from '../providers/channel-directory.js';

/**
 * The `Host` headers that are accepted without credentials, so that a page of another site cannot reach this server
 * under its own name.
 */
export function knownHosts({ auth, server: { publicUrl, trustProxy } }: Config): KnownHosts | null {
  return auth.mode === 'none' && !auth.allowOpen ? { publicUrl, trustProxy } : null;
}

/** The origins that may read a media, which are those of its tenant. */
export function allowedOrigins(
  { delivery }: Config,
  channels: ChannelDirectory,
): (mediaId: string) => readonly string[] {
  const { allowedOrigins: origins } = delivery;
  if (isList(origins)) return () => origins;
  return (mediaId) => origins[channels.findForSignedLink(decodeMediaId(mediaId)?.channelId ?? '')?.tenant ?? ''] ?? [];
}

// Array.isArray does not narrow readonly arrays.
function isList(value: object): value is readonly string[] {
  return Array.isArray(value);
}
