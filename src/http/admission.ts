import type { IncomingHttpHeaders } from 'node:http';
import type { Caller } from '../model/caller.js';

/**
 * Finds the caller of a request from its `Authorization` header. Rejects with a MediagraphError: UNAUTHENTICATED, or a
 * retryable INTERNAL_SERVER_ERROR while credentials cannot be verified.
 */
export type Authenticate = (authorization: string | undefined) => Promise<Caller>;

/** Finds the caller of a request from all of its headers. Rejects as {@link Authenticate}. */
export type Admit = (headers: IncomingHttpHeaders) => Promise<Caller>;
