import { crc32 } from 'node:zlib';

/** A file with one type by its first bytes, name or claim, that is script or markup under another type. */
export interface Polyglot {
  readonly name: string;
  /** What its sender calls it; null: nothing. */
  readonly claim: string | null;
  readonly filename: string;
  /** The type that its author hopes a reader takes it for: under this, it runs. */
  readonly hope: string;
  readonly bytes: Buffer;
}

/** Where a file that runs tells of it. */
export interface Witness {
  /** The origin of a server that is asked for `/ran/<name>`. */
  readonly url: string;
}

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

/** Tells in every way that there is, wherever it runs: in a page, a frame, another's page, a worker. */
function script(name: string, { url }: Witness): string {
  // In one line and without what JSON and XML have other spellings for.
  return `(function(){var t='ran:${name}',u='${url}/ran/${name}';
try{self.__ran=t}catch(e){}
try{[parent,top,opener].forEach(function(w){try{w.postMessage(t,'*')}catch(e){}})}catch(e){}
try{postMessage(t)}catch(e){}
try{var x=new XMLHttpRequest();x.open('GET',u,false);x.send()}catch(e){}
try{if(opener)alert(t)}catch(e){}})();`.replaceAll('\n', '');
}

/** Every file that is here, each with a script of its own in it. */
export function polyglots(witness: Witness): Polyglot[] {
  const js = (name: string) => script(name, witness);
  const tag = (name: string) => `<script>${js(name)}</script><img src=x onerror="${attribute(js(name))}">`;
  const page = (name: string) => `<!doctype html><html><body>${tag(name)}</body></html>`;
  const svg = (name: string) =>
    `<svg xmlns="http://www.w3.org/2000/svg" onload="${attribute(js(name))}"><script><![CDATA[${js(name)}]]></script></svg>`;
  const xhtml = (name: string) =>
    `<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body><script><![CDATA[${js(name)}]]></script></body></html>`;
  const css = (name: string) => `@import url("${witness.url}/ran/${name}");`;

  const rows: Readonly<
    Record<string, readonly [claim: string | null, filename: string, of: (name: string) => Buffer | string]>
  > = {
    // Bytes that are a picture or a sound to some, and a program of JavaScript to others.
    'gif-script': ['image/gif', 'a.gif', (name) => scriptBehind('GIF89a/*', 20, `*/=1;${js(name)}`)],
    'bmp-script': ['image/bmp', 'a.bmp', (name) => scriptBehind('BM/*', 60, `*/=1;${js(name)}`)],
    'jpeg-script': [
      'image/jpeg',
      'a.jpg',
      (name) => scriptBehind('\xff\xd8\xff\xe0/*JFIF\0', 40, `*/=1;${js(name)}//`),
    ],
    'webp-script': ['image/webp', 'a.webp', (name) => scriptBehind('RIFF/*\0\0WEBPVP8 ', 40, `*/=1;${js(name)}`)],
    'wave-script': ['audio/wav', 'a.wav', (name) => scriptBehind('RIFF/*\0\0WAVEfmt ', 40, `*/=1;${js(name)}`)],
    'mp3-script': ['audio/mpeg', 'a.mp3', (name) => scriptBehind('ID3/*\0\0\0\0\0', 40, `*/=1;${js(name)}`)],
    'ogg-script': [
      'audio/ogg',
      'a.ogg',
      (name) => scriptBehind(`${'OggS/*'.padEnd(28, '\0')}OpusHead\x01`, 40, `*/=1;${js(name)}`),
    ],
    // Bytes that are something else to some, and a page to those who look further.
    'gif-page': ['image/gif', 'a.gif', (name) => latin1(`GIF89a\x01\0\x01\0\0\0\0;${page(name)}`)],
    'jpeg-page': ['image/jpeg', 'a.jpg', (name) => latin1(`\xff\xd8\xff\xe0\0\x10JFIF\0${page(name)}`)],
    'png-page': ['image/png', 'a.png', (name) => pngWith(page(name))],
    'ogg-page': ['audio/ogg', 'a.ogg', (name) => latin1(`${'OggS'.padEnd(28, '\0')}OpusHead\x01${page(name)}`)],
    'mp4-page': ['video/mp4', 'a.mp4', (name) => latin1(`\0\0\0\x18ftypmp42\0\0\0\0mp42isom${page(name)}`)],
    'pdf-page': ['application/pdf', 'a.pdf', (name) => `%PDF-1.4\n${page(name)}\n%%EOF`],
    'pdf-page-first': ['application/pdf', 'a.pdf', (name) => `${page(name)}\n%PDF-1.4\n%%EOF`],
    'zip-page': ['application/zip', 'a.zip', (name) => latin1(`PK\x03\x04${'\0'.repeat(26)}${page(name)}`)],
    'flash-page': ['application/x-shockwave-flash', 'a.swf', (name) => latin1(`FWS\x0a\xff\0\0\0${page(name)}`)],
    'flash-as-gif': ['image/gif', 'a.gif', (name) => latin1(`FWS\x0a\xff\0\0\0${page(name)}`)],
    wasm: ['application/wasm', 'a.wasm', (name) => latin1(`\0asm\x01\0\0\0${page(name)}`)],
    // Pages under every name that one may have.
    'page-as-png': ['image/png', 'a.png', page],
    'page-as-nothing': [null, 'a.png', page],
    'page-as-text': ['text/plain', 'a.txt', page],
    'page-as-pdf': ['application/pdf', 'a.pdf', page],
    'page-as-page': ['text/html', 'a.html', page],
    'page-of-no-known-tag': ['text/plain', 'a.txt', (name) => `<x-y></x-y>${tag(name)}`],
    'page-behind-text': ['text/plain', 'a.txt', (name) => 'Harmless words. '.repeat(64) + tag(name)],
    'page-behind-a-sample': ['text/plain', 'a.txt', (name) => 'Harmless words. '.repeat(300) + page(name)],
    'page-behind-a-comment': [null, 'a', (name) => `<!-- ${'-'.repeat(2_000)} -->${page(name)}`],
    'page-utf-7': ['text/html; charset=utf-7', 'a.html', (name) => `+ADw-script+AD4-${js(name)}+ADw-/script+AD4-`],
    'page-utf-7-marked': ['text/plain', 'a.txt', (name) => `+/v8-+ADw-script+AD4-${js(name)}+ADw-/script+AD4-`],
    'page-utf-8-marked': ['text/plain', 'a.txt', (name) => `\ufeff${page(name)}`],
    'page-utf-16-le': ['text/plain', 'a.txt', (name) => Buffer.from(`\ufeff${page(name)}`, 'utf16le')],
    'page-utf-16-be': ['image/jpeg', 'a.jpg', (name) => Buffer.from(`\ufeff${page(name)}`, 'utf16le').swap16()],
    'page-iso-2022': ['text/plain', 'a.txt', (name) => `\x1b(B${page(name)}`],
    'page-in-parts': [
      'multipart/x-mixed-replace; boundary=b',
      'a',
      (name) => `--b\r\ncontent-type: text/html\r\n\r\n${page(name)}\r\n--b--`,
    ],
    'archive-of-a-page': ['message/rfc822', 'a.mhtml', (name) => mhtml(page(name))],
    'archive-as-related': ['multipart/related; boundary=b', 'a.mht', (name) => mhtml(page(name))],
    'card-with-a-page': [
      'text/vcard',
      'a.vcf',
      (name) => `BEGIN:VCARD\r\nVERSION:3.0\r\nFN:${page(name)}\r\nEND:VCARD`,
    ],
    'table-with-a-page': ['text/csv', 'a.csv', (name) => `a,b\n1,${page(name)}`],
    'json-with-a-page': ['application/json', 'a.json', (name) => JSON.stringify({ page: page(name) })],
    'json-as-webp': ['image/webp', 'a.webp', (name) => JSON.stringify({ page: page(name) })],
    // Markup that is no HTML.
    svg: ['image/svg+xml', 'a.svg', svg],
    'svg-as-png': ['image/png', 'a.png', svg],
    'svg-as-text': ['text/plain', 'a.txt', svg],
    'svg-behind-words': [
      'image/svg+xml',
      'a.svg',
      (name) => `<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "b">]>${svg(name)}`,
    ],
    xhtml: ['application/xhtml+xml', 'a.xhtml', xhtml],
    'xhtml-as-text': ['text/plain', 'a.txt', xhtml],
    'xhtml-as-xml': ['application/xml', 'a.xml', xhtml],
    // Programs and styles without disguise.
    'script-as-text': ['text/plain', 'a.txt', js],
    'script-as-script': ['text/javascript', 'a.js', js],
    'script-as-json': ['application/json', 'a.json', js],
    module: ['application/javascript', 'a.mjs', (name) => `${js(name)}export {};`],
    'style-as-text': ['text/plain', 'a.txt', css],
    'style-as-style': ['text/css', 'a.css', css],
    'style-in-gif': [
      'image/gif',
      'a.gif',
      (name) => latin1(`GIF89a{}body{background:url("${witness.url}/ran/${name}")}`),
    ],
  };
  return Object.entries(rows).map(([name, [claim, filename, of]]) => ({
    name,
    claim,
    filename,
    hope: hopeOf(name),
    bytes: Buffer.from(of(name)),
  }));
}

function hopeOf(name: string): string {
  if (name.includes('script') || name === 'module') return 'text/javascript';
  if (name.startsWith('style')) return 'text/css';
  if (name.startsWith('svg')) return 'image/svg+xml';
  return name.startsWith('xhtml') ? 'application/xhtml+xml' : 'text/html';
}

function attribute(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
}

/** A comment of JavaScript that begins with a signature; the letters before it are a name that is given a value. */
function scriptBehind(signature: string, bytes: number, rest: string): Buffer {
  return latin1(signature.padEnd(bytes, '\0') + rest);
}

function mhtml(page: string): string {
  return `MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary="b"\r\n\r\n--b\r\nContent-Type: text/html\r\nContent-Location: http://inbox.example/\r\n\r\n${page}\r\n--b--`;
}

/** One empty page, with a program for the viewer's own interpreter (ISO 32000-1, section 12.6.4.16). */
export function pdfWith(program: string): Buffer {
  const objects = [
    `<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(${program.replace(/[()\\]/g, '\\$&')})>>>>`,
    '<</Type/Pages/Kids[3 0 R]/Count 1>>',
    '<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>',
  ];
  const parts = ['%PDF-1.4\n'];
  const offsets = objects.map((object, at) => {
    const offset = parts.join('').length;
    parts.push(`${at + 1} 0 obj${object}endobj\n`);
    return `${String(offset).padStart(10, '0')} 00000 n \n`;
  });
  const start = parts.join('').length;
  return latin1(
    `${parts.join('')}xref\n0 4\n0000000000 65535 f \n${offsets.join('')}trailer<</Size 4/Root 1 0 R>>\nstartxref\n${start}\n%%EOF`,
  );
}

/** One pixel, with a text chunk (PNG 3rd edition, section 11.3.3) that is a page. */
function pngWith(page: string): Buffer {
  const pixel = Buffer.from('789c6360000000020001', 'hex');
  const header = Buffer.from('00000001000000010800000000', 'hex');
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    pngChunk('IHDR', header),
    pngChunk('tEXt', latin1(`Comment\0${page}`)),
    pngChunk('IDAT', pixel),
    pngChunk('IEND', Buffer.alloc(0)),
    latin1(page),
  ]);
}

function pngChunk(type: string, data: Buffer): Buffer {
  const typed = Buffer.concat([latin1(type), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(typed));
  return Buffer.concat([length, typed, sum]);
}
