import { createHash, createHmac } from 'node:crypto';

/**
 * What `X-Amz-Signature` of a presigned GET has to be, computed from all the rest of the URL as S3's documentation has it
 * ("Authenticating Requests: Using Query Parameters (AWS Signature Version 4)"), with the host as the only signed header:
 * the stand-in takes any signature.
 */
export function signatureOf(url: URL, secretAccessKey: string): string {
  const parameters = [...url.searchParams].filter(([name]) => name !== 'X-Amz-Signature');
  const query = parameters.map(([name, value]) => `${encoded(name)}=${encoded(value)}`).sort();
  const request = ['GET', url.pathname, query.join('&'), `host:${url.host}`, '', 'host', 'UNSIGNED-PAYLOAD'].join('\n');
  const date = url.searchParams.get('X-Amz-Date') ?? '';
  const [, ...scope] = (url.searchParams.get('X-Amz-Credential') ?? '').split('/');
  const toSign = ['AWS4-HMAC-SHA256', date, scope.join('/'), createHash('sha256').update(request).digest('hex')];
  const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
  const key = scope.reduce<string | Buffer>(hmac, `AWS4${secretAccessKey}`);
  return hmac(key, toSign.join('\n')).toString('hex');
}

/** RFC 3986, section 2.3: all but the unreserved characters. */
function encoded(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
}
