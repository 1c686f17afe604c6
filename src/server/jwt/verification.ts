/** The parts of the verification of tokens, which the composition loads together. */
export { fetchKeys } from './fetch-keys.js';
export { KeySet } from './key-set.js';
export { KeySource } from './key-source.js';
export { loggedTokens } from './logged-tokens.js';
export { TokenVerifier } from './token-verifier.js';
