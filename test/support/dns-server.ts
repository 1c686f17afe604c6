import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { isIPv4, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';

/** RFC 1035 section 3.2.2, RFC 3596 section 2.1. */
const TYPES = { A: 1, CNAME: 5, AAAA: 28 } as const;
const HEADER_BYTES = 12;
/** Recursion desired and available, an answer: RFC 1035 section 4.1.1. */
const ANSWER_FLAGS = 0x8180;
const SERVER_FAILURE = 2;
const NAME_ERROR = 3;
const NO_ERROR = 0;
/** A pointer to the name of the question, RFC 1035 section 4.1.4. */
const NAME_OF_QUESTION = Buffer.from([0xc0, HEADER_BYTES]);

/** What a name stands for: addresses of both families, another name with addresses, an error, or no answer at all. */
type DnsAnswer =
  | readonly string[]
  | { readonly alias: string; readonly addresses: readonly string[] }
  | 'unknown'
  | 'failure'
  | 'silence';

interface Question {
  readonly name: string;
  readonly type: number;
  /** As it came, to be sent back. */
  readonly bytes: Buffer;
}

/**
 * A name server over UDP (RFC 1035), which answers the n-th look-up of a name with the n-th answer given for it, the last
 * again and again, always to be kept for no time. {@link lookup} asks it as `dns.lookup` asks the system's.
 */
export class DnsServer {
  /** Every question, as `A media.example`, in order. */
  readonly questions: string[] = [];
  /** To be filled by tests; a name without an entry is unknown. */
  readonly answers = new Map<string, readonly DnsAnswer[]>();
  // A server that is silent is waited for until `close`, as the system's resolver would wait.
  readonly #resolver = new Resolver({ timeout: 60_000, tries: 1 });

  private constructor(private readonly socket: Socket) {
    this.#resolver.setServers([`127.0.0.1:${socket.address().port}`]);
    socket.on('message', (message, from) => this.#answer(message, from));
  }

  static async start(): Promise<DnsServer> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new DnsServer(socket);
  }

  /** Both families are asked; the look-up fails when neither has an address. */
  readonly lookup: LookupFunction = (hostname, _options, callback) => {
    const questions = [this.#resolver.resolve4(hostname), this.#resolver.resolve6(hostname)];
    void Promise.allSettled(questions).then((outcomes) => {
      const addresses = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? outcome.value : []));
      const fault = Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), { code: 'ENOTFOUND' });
      if (addresses.length === 0) callback(fault, []);
      else
        callback(
          null,
          addresses.map((address) => ({ address, family: isIPv4(address) ? 4 : 6 })),
        );
    });
  };

  async close(): Promise<void> {
    this.#resolver.cancel();
    const closed = once(this.socket, 'close');
    this.socket.close();
    await closed;
  }

  #answer(message: Buffer, from: RemoteInfo): void {
    const question = readQuestion(message);
    const kind = question.type === TYPES.A ? 'A' : 'AAAA';
    const line = `${kind} ${question.name}`;
    const given = this.answers.get(question.name) ?? ['unknown'];
    const count = this.questions.filter((earlier) => earlier === line).length;
    this.questions.push(line);
    const answer = given[Math.min(count, given.length - 1)] ?? 'unknown';
    if (answer === 'silence') return;
    this.socket.send(answerTo(message.readUInt16BE(0), question, answer), from.port, from.address);
  }
}

function readQuestion(message: Buffer): Question {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = message.readUInt8(at); length > 0; length = message.readUInt8(at)) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const type = message.readUInt16BE(at + 1);
  return { name: labels.join('.').toLowerCase(), type, bytes: message.subarray(HEADER_BYTES, at + 5) };
}

function answerTo(id: number, question: Question, answer: Exclude<DnsAnswer, 'silence'>): Buffer {
  if (answer === 'unknown') return answerWith(id, question, NAME_ERROR, []);
  if (answer === 'failure') return answerWith(id, question, SERVER_FAILURE, []);
  if ('alias' in answer) {
    const alias = nameBytes(answer.alias);
    const records = addressRecords(answer.addresses, question.type, alias);
    return answerWith(id, question, NO_ERROR, [record(NAME_OF_QUESTION, TYPES.CNAME, alias), ...records]);
  }
  return answerWith(id, question, NO_ERROR, addressRecords(answer, question.type, NAME_OF_QUESTION));
}

function answerWith(id: number, question: Question, fault: number, records: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  for (const [index, field] of [id, ANSWER_FLAGS | fault, 1, records.length].entries())
    header.writeUInt16BE(field, index * 2);
  return Buffer.concat([header, question.bytes, ...records]);
}

function addressRecords(addresses: readonly string[], type: number, name: Buffer): Buffer[] {
  const ofFamily = addresses.filter((address) => isIPv4(address) === (type === TYPES.A));
  return ofFamily.map((address) => record(name, type, Buffer.from(ipaddr.parse(address).toByteArray())));
}

function record(name: Buffer, type: number, data: Buffer): Buffer {
  // Type, class IN, a lifetime of zero, the length of the data.
  const fields = Buffer.alloc(10);
  fields.writeUInt16BE(type, 0);
  fields.writeUInt16BE(1, 2);
  fields.writeUInt16BE(data.length, 8);
  return Buffer.concat([name, fields, data]);
}

function nameBytes(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  return Buffer.concat([...labels, Buffer.from([0])]);
}
