import { type DestinationStream, type Logger, pino, stdSerializers } from 'pino';

export type { Logger } from 'pino';

/**
 * Names under which a credential could reach a log line by mistake, at the top or some levels down. Nothing logs
 * them on purpose; this is the second lock.
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
  /** Default: standard output, one JSON object a line. */
  readonly destination?: DestinationStream;
}

export function createLogger({ level, destination }: LoggerOptions): Logger {
  const options = {
    level,
    base: undefined,
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: toldError },
    redact: { paths: REDACTED_PATHS, censor: '[redacted]' },
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return destination ? pino(options, destination) : pino(options);
}

/** Without bytes that an error holds (a packet that is no HTTP, say): what looks for secrets cannot go through them, and throws. */
function toldError(error: Error): unknown {
  const told = stdSerializers.err(error);
  if (typeof told !== 'object' || told === null) return told;
  for (const [name, value] of Object.entries(told))
    if (ArrayBuffer.isView(value)) Reflect.set(told, name, `(${value.byteLength} bytes)`);
  return told;
}
