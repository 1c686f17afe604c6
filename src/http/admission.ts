import type { IncomingHttpHeaders } from 'node:http';
import type { Caller } from '../model/caller.js';

/** Finds the caller of a request from its `Authorization` header. @throws MediagraphError UNAUTHENTICATED */
export type Authenticate = (authorization: string | undefined) => Caller;

/** Finds the caller of a request from all of its headers. @throws MediagraphError UNAUTHENTICATED */
export type Admit = (headers: IncomingHttpHeaders) => Caller;
