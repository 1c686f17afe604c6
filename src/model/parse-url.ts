/**
 * null for what is no URL. In place of `URL.canParse`: once that is compiled, Node 20's reads a text of Latin-1 letters as if
 * it were UTF-8, and says no to `https://bücher.example/`.
 */
export function parseUrl(text: string, base?: string | URL): URL | null {
  try {
    return new URL(text, base);
  } catch {
    return null;
  }
}
