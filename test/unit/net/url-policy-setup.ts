import { MediagraphError } from '../../../src/model/errors.js';
import { AddressPolicy } from '../../../src/net/guarded/public-address.js';

export const strict = new AddressPolicy({ allowPrivate: [], allowedPorts: [80, 443] });

export function refusalOf(judge: () => URL): MediagraphError {
  try {
    judge();
  } catch (thrown) {
    if (thrown instanceof MediagraphError) return thrown;
    throw thrown;
  }
  throw new Error('expected a refusal, got a URL');
}
