/** A whole number from a command line. @throws Error for anything else */
export function wholeNumber(name: string, text: string | undefined, absent: number): number {
  if (text === undefined) return absent;
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`expected --${name} to be a whole number, got ${text}`);
}
