import type { Answer } from '../faults.js';

export type LamlFlavour = 'signalwire' | 'twilio';

export interface MediaFacts {
  readonly accountSid: string;
  readonly messageSid: string;
  /** The path of the message's list, without extension. */
  readonly listPath: string;
  readonly sid: string;
  readonly contentType: string;
  readonly createdAt: Date;
}

/**
 * The media resource, which has no size, filename or checksum. `uri` is relative to the host and ends in `.json`
 * (providers: SignalWire, Retrieve Message Media; Twilio, api v2010 specification).
 */
export function mediaJson(media: MediaFacts): object {
  const date = rfc2822(media.createdAt);
  return {
    account_sid: media.accountSid,
    content_type: media.contentType,
    date_created: date,
    date_updated: date,
    parent_sid: media.messageSid,
    sid: media.sid,
    uri: `${media.listPath}/${media.sid}.json`,
  };
}

export interface LamlError {
  readonly flavour: LamlFlavour;
  readonly status: number;
  /** Default: the usual code of the status. */
  readonly code?: number;
  readonly message?: string;
}

/** `{code, message, more_info, status}` (providers: SignalWire, error codes; Twilio has the same numbers). */
export function lamlError({ flavour, status, ...error }: LamlError): Answer {
  const code = error.code ?? USUAL_CODES[status] ?? 20500;
  const message = error.message ?? `The request was answered with ${status}`;
  const site = flavour === 'signalwire' ? 'https://developer.signalwire.com' : 'https://www.twilio.com/docs';
  return json(status, { code, message, more_info: `${site}/errors/${code}`, status });
}

export function json(status: number, body: object): Answer {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

/** 20003, 20404 and 20429 are documented. The others are those that Twilio is known to use. */
const USUAL_CODES: Readonly<Record<number, number>> = {
  400: 20001,
  401: 20003,
  403: 20403,
  404: 20404,
  405: 20004,
  422: 20422,
  429: 20429,
  503: 20503,
};

/** `Mon, 13 Aug 2018 21:38:46 +0000`. */
function rfc2822(date: Date): string {
  return date.toUTCString().replace('GMT', '+0000');
}
