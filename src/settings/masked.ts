import { parseUrl } from '../model/text/parse-url.js';

/** Stands in place of a secret. */
export const MASK = '********';

/** Parameters of database URLs that say how to connect and never contain a secret. */
const HARMLESS_PARAMETERS: ReadonlySet<string> = new Set(['sslmode', 'application_name', 'connect_timeout']);

/** A text in which the password and the parameters of a URL are masked. Any other text stays as it is. */
export function withoutSecrets(text: string): string {
  const scheme = text.indexOf('://');
  if (scheme === -1) return text;
  const url = parseUrl(text);
  const hasUser = url !== null && (url.username !== '' || url.password !== '');
  // Of a URL with several hosts, or with an unencoded password, everything up to the last "@" may be the password.
  if (!url || (hasUser && url.href.split('@').length > 2)) {
    const start = scheme + 3;
    const at = Math.max(start, text.lastIndexOf('@'));
    const before = text.slice(0, start) + (at > start ? MASK : '');
    const query = text.indexOf('?', at);
    return query === -1 ? before + text.slice(at) : `${before}${text.slice(at, query)}?${MASK}`;
  }
  if (url.password === '' && url.search === '') return text;
  if (url.password !== '') url.password = MASK;
  const parameters = [...url.searchParams].map(([name, value]) => [name, HARMLESS_PARAMETERS.has(name) ? value : MASK]);
  url.search = parameters.map(([name = '', value]) => `${encodeURIComponent(name)}=${value}`).join('&');
  return url.href;
}
