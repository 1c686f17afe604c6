import type { IncomingHttpHeaders } from 'node:http';
import type { Caller } from '../model/caller.js';

/** Finds the caller of a request from its `Authorization` header. Rejects with a MediagraphError UNAUTHENTICATED. */
export type Authenticate = (authorization: string | undefined) => Promise<Caller>;

/** Finds the caller of a request from all of its headers. Rejects with a MediagraphError UNAUTHENTICATED. */
export type Admit = (headers: IncomingHttpHeaders) => Promise<Caller>;
