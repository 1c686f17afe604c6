import { ACCOUNTS, SECRETS, type TestBed } from './test-bed.js';

/** A text in bodies of emulated providers that must not reach a client. */
export const BODY_MARKER = 'upstream-body-marker-5d1f';

/** Texts that only this process and its providers may know: credentials, in every form that they travel in. */
export function credentials(): string[] {
  const basic = (username: string, password: string) => Buffer.from(`${username}:${password}`).toString('base64');
  return [
    ...Object.values(SECRETS),
    basic(ACCOUNTS.signalwire, SECRETS.signalwirePassword),
    basic(ACCOUNTS.twilio, SECRETS.twilioPassword),
  ];
}

/** The texts in an answer that callers must not see: credentials, upstream bodies, upstream hosts. */
export function leaksIn(text: string, bed: TestBed): string[] {
  const hosts = bed.emulators.map(({ url }) => new URL(url).host);
  const stacks = ['node_modules', '/src/', '.ts:', 'node:internal'];
  const forbidden = [...credentials(), BODY_MARKER, ...hosts, '169.254.169.254', ...stacks];
  return forbidden.filter((one) => text.includes(one));
}
