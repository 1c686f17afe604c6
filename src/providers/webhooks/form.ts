/**
 * The fields of a form as bytes, one character per byte (latin1), so that a signature covers exactly the signed bytes
 * in any charset. WHATWG URL, section 5.1 ("application/x-www-form-urlencoded parsing").
 */
export class FormBody {
  readonly #fields = new Map<string, string[]>();

  constructor(rawBody: Buffer) {
    for (const field of rawBody.toString('latin1').split('&')) {
      if (field === '') continue;
      const equals = field.indexOf('=');
      const name = decoded(equals === -1 ? field : field.slice(0, equals));
      const value = equals === -1 ? '' : decoded(field.slice(equals + 1));
      const values = this.#fields.get(name);
      if (values) values.push(value);
      else this.#fields.set(name, [value]);
    }
  }

  /** Returns the values of a field in their order; empty if it is missing. `name` is ASCII. */
  values(name: string): readonly string[] {
    return this.#fields.get(name) ?? [];
  }

  /** Returns the fields sorted by name. */
  sorted(): Array<readonly [name: string, values: readonly string[]]> {
    return [...this.#fields].sort(([a], [b]) => (a < b ? -1 : 1));
  }
}

function decoded(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  return spaced.replace(/%[0-9a-f]{2}/gi, (triplet) => String.fromCharCode(Number.parseInt(triplet.slice(1), 16)));
}
