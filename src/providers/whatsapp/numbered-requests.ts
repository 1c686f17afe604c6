import type { BufferedResponse } from '../../net/client/buffered-response.js';
import type { ProviderHttpClient, ProviderRequest } from '../../net/client/provider-http-client.js';
import { refusesNumber } from './refusal.js';

/** How long requests omit the number after Meta has refused it. */
const WITHOUT_NUMBER_MS = 60 * 60 * 1000;

export interface NumberedRequestsOptions {
  readonly client: ProviderHttpClient;
  /** Absent: requests are sent unchanged. */
  readonly phoneNumberId?: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * Sends requests with `phone_number_id`, so that Meta returns media of this number only. On some accounts Meta refuses
 * the number for inbound media. The request is then repeated without it, and for the next hour sent without it from the
 * start.
 */
export class NumberedRequests {
  #withoutNumberUntil = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: NumberedRequestsOptions) {}

  async request(request: ProviderRequest): Promise<BufferedResponse> {
    const { client, phoneNumberId, now } = this.options;
    if (phoneNumberId === undefined || now() < this.#withoutNumberUntil) return client.request(request);
    const response = await client.request({ ...request, path: `${request.path}?phone_number_id=${phoneNumberId}` });
    if (!refusesNumber(response, phoneNumberId)) return response;
    const repeated = await client.request(request);
    if (repeated.statusCode === 200) this.#withoutNumberUntil = now() + WITHOUT_NUMBER_MS;
    return repeated;
  }
}
