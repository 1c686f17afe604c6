import { type DestinationStream, type Logger, pino, stdSerializers } from 'pino';
import { GatheredLines } from './gathered-lines.js';

export type { Logger } from 'pino';

/**
 * Keys under which a credential could reach a log line by mistake, at the top level or nested. No code logs them on
 * purpose; the redaction is a second line of defence.
 */
const SECRET_KEYS = [
  'authorization',
  'cookie',
  'credentials',
  'token',
  'password',
  'secret',
  'secretAccessKey',
  'signingKeys',
  'apiKeys',
  'routerSecret',
  '["x-router-secret"]',
  '["set-cookie"]',
];

const REDACTED_PATHS = SECRET_KEYS.flatMap((key) => {
  const dotted = key.startsWith('[') ? key : `.${key}`;
  return [key, `*${dotted}`, `*.*${dotted}`, `*.*.*${dotted}`, `*.*.*.*${dotted}`];
});

export interface LoggerOptions {
  readonly level: string;
  /** Default: standard output, one JSON object per line. */
  readonly destination?: DestinationStream;
}

export function createLogger({ level, destination = new GatheredLines() }: LoggerOptions): Logger {
  const options = {
    level,
    base: undefined,
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: serializeError },
    redact: { paths: REDACTED_PATHS, censor: '[redacted]' },
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(options, destination);
}

/**
 * Serializes an error without its binary fields, such as a malformed HTTP packet. The redaction cannot traverse binary
 * data and would throw.
 */
function serializeError(error: Error): unknown {
  const serialized = stdSerializers.err(error);
  if (typeof serialized !== 'object' || serialized === null) return serialized;
  for (const [name, value] of Object.entries(serialized))
    if (ArrayBuffer.isView(value)) Reflect.set(serialized, name, `(${value.byteLength} bytes)`);
  return serialized;
}
