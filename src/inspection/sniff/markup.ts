/**
 * The type of markup, by the first element after any comments, processing instructions and document types. Null: the
 * text is no markup. A prologue that is longer than the sample counts as markup, since markup may follow it. Each
 * character is read a bounded number of times.
 */
export function markupType(text: string, isCut: boolean): string | null {
  let isXml = false;
  let at = skipSpace(text, 0);
  for (;;) {
    if (text.startsWith('<!--', at)) {
      const end = endOfComment(text, at);
      if (end === null) return isXml ? XML : isCut ? HTML : null;
      at = skipSpace(text, end);
    } else if (text.startsWith('<?', at)) {
      isXml ||= isWord(text, at + 2, 'xml');
      const end = text.indexOf('>', at);
      if (end === -1) return isXml ? XML : null;
      at = skipSpace(text, end + 1);
    } else if (isWord(text, at, '<!doctype')) {
      const name = nameAt(text, skipSpace(text, at + '<!doctype'.length));
      if (name === 'html' && !isXml) return HTML;
      isXml = true;
      const end = endOfDoctype(text, at);
      if (end === null) return name === 'svg' ? SVG : XML;
      at = skipSpace(text, end);
      // The sample ends after the document type, which then decides.
      if (name === 'svg' && at === text.length) return SVG;
    } else return elementType(text, at) ?? (isXml ? XML : null);
  }

  function elementType(within: string, start: number): string | null {
    const name = within[start] === '<' ? nameAt(within, start + 1) : '';
    if (name === '') return null;
    const after = start + 1 + name.length;
    if (after < within.length && !' \t\r\n\f/>'.includes(within.charAt(after))) return null;
    if (name === 'svg' || name.endsWith(':svg')) return SVG;
    if (isXml) return XML;
    if (HTML_ELEMENTS.has(name)) return HTML;
    return hasNamespace(within, start) ? XML : null;
  }
}

const HTML = 'text/html';
const SVG = 'image/svg+xml';
const XML = 'application/xml';

/** Longer than any name that is compared here. */
const MAX_NAME = 64;
/** The most characters of a first tag that are searched. */
const MAX_TAG = 4_096;

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && (text.charCodeAt(at) <= 0x20 || text.charCodeAt(at) === 0xfeff)) at += 1;
  return at;
}

/** Whether the word, in any case, stands at that offset and is not the start of a longer name. */
function isWord(text: string, at: number, word: string): boolean {
  const next = text.charAt(at + word.length);
  return text.slice(at, at + word.length).toLowerCase() === word && !isNameCharacter(next);
}

/** The name at that offset, in lower case. Empty: there is none. */
function nameAt(text: string, from: number): string {
  let at = from;
  while (at < text.length && at - from < MAX_NAME && isNameCharacter(text.charAt(at))) at += 1;
  return text.slice(from, at).toLowerCase();
}

function isNameCharacter(character: string): boolean {
  return /^[A-Za-z0-9:._-]$/.test(character);
}

/**
 * The end of a comment. In HTML `--!>` ends one too, as does `>` or `->` right after its start. Null: it does not end
 * in the text.
 */
function endOfComment(text: string, start: number): number | null {
  for (let dashes = text.indexOf('--', start + 2); dashes !== -1; dashes = text.indexOf('--', dashes + 1)) {
    if (text.startsWith('>', dashes + 2)) return dashes + 3;
    if (dashes >= start + 4 && text.startsWith('!>', dashes + 2)) return dashes + 4;
  }
  return null;
}

/** XML 1.0, section 2.8: quoted texts and the subset in brackets may contain `>`. Null: it does not end in the text. */
function endOfDoctype(text: string, start: number): number | null {
  let quote = '';
  let isInSubset = false;
  for (let at = start; at < text.length; at++) {
    const character = text.charAt(at);
    if (quote !== '') {
      if (character === quote) quote = '';
    } else if (isInSubset && text.startsWith('<!--', at)) {
      const end = endOfComment(text, at);
      if (end === null) return null;
      at = end - 1;
    } else if (character === '"' || character === "'") quote = character;
    else if (character === '[') isInSubset = true;
    else if (character === ']') isInSubset = false;
    else if (character === '>' && !isInSubset) return at + 1;
  }
  return null;
}

/** XML without a declaration nearly always has a namespace. */
function hasNamespace(text: string, start: number): boolean {
  const tag = text.slice(start, start + MAX_TAG);
  const end = tag.indexOf('>');
  return /\sxmlns[=:]/.test(end === -1 ? tag : tag.slice(0, end));
}

/** The elements with which a page, or a fragment of one, may begin. */
const HTML_ELEMENTS: ReadonlySet<string> = new Set(
  'html head body title base link meta style script noscript template iframe frame frameset object embed applet a abbr article aside audio b big blockquote br button canvas center dd details dialog div dl dt em fieldset figure font footer form h1 h2 h3 h4 h5 h6 header hr i img input label li listing main map marquee math menu nav ol p picture plaintext pre section select slot small span strong sub summary sup svg table tbody td textarea tfoot th thead tr tt u ul video xmp'.split(
    ' ',
  ),
);
