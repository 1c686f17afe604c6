import { EXTENSIONS, FURTHER_EXTENSIONS } from '../model/file-extensions.js';
import { essenceOf } from '../model/mime-type.js';

/** Whether this extension, lower-case and without its dot, says no less of bytes of this type than the type's own would. */
export function outlives(extension: string, mimeType: string): boolean {
  const essence = essenceOf(mimeType);
  if (MEANINGLESS.has(extension) || !isExtension(extension)) return false;
  if (ALSO.get(essence)?.has(extension)) return true;
  if (TEXTS.has(essence)) return !hasSignature(extension);
  if (essence === 'application/zip') return !hasSignature(extension) && !TEXT_EXTENSIONS.has(extension);
  // What file-type alone knows may be the container of something else: a database, a model, a game.
  return !COMMON_TYPES.has(essence) && !isKnownExtension(extension);
}

/** Whether it ends the names of files of some type; what ends a name otherwise may be a part of it. */
export function isKnownExtension(extension: string): boolean {
  return (
    SIGNED.has(extension) || TEXT_EXTENSIONS.has(extension) || PROGRAMS.has(extension) || MEANINGLESS.has(extension)
  );
}

/** Those with which a browser that opens the saved file renders it and runs what is in it. */
export function isMarkupExtension(extension: string): boolean {
  return MARKUP.has(extension);
}

/** Of a text, as a person would call it; the others are specific. */
const TEXTS: ReadonlySet<string> = new Set([
  'text/plain',
  'text/csv',
  'text/vtt',
  'application/json',
  'application/xml',
]);

/** Had the bytes been of a type with this extension, their signature would have told it. */
function hasSignature(extension: string): boolean {
  if (PROGRAMS.has(extension)) return true;
  return SIGNED.has(extension) && !WRITTEN.has(extension) && !PACKED.has(extension);
}

/** A number, a version or a date is a part of the name; so is the end of an address. */
function isExtension(extension: string): boolean {
  return /[a-z]/.test(extension) && !/^v\d+$/.test(extension) && extension !== 'com';
}

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '));

const TEXT_EXTENSIONS = words('txt text log md html htm xhtml csv vcf vcard ics json xml svg');
/** By these Windows or a browser runs or obeys a file. */
const PROGRAMS = words('exe scr pif msi msp dll sys cpl ocx lnk apk jar');
const MEANINGLESS = words('bin dat file tmp unknown download');
const MARKUP = words('html htm xhtml xht shtml svg svgz mht mhtml hta xml xsl xslt');
/** Of types with a signature, files that may as well be written as text: tables for Excel, letters for Word. */
const WRITTEN = words('xls doc ps eps rtf stl reg vtt pgp ar ts it skp sav shp class');
/** Of types with a signature, those that are ZIP archives. */
const PACKED = words(
  'docx docm dotx dotm xlsx xlsm xltx xltm pptx pptm potx potm ppsx ppsm vsdx odt ott ods ots odp otp odg otg epub xpi 3mf apk jar',
);
const SIGNED: ReadonlySet<string> = new Set(
  [...EXTENSIONS.values(), ...FURTHER_EXTENSIONS.keys()].filter((extension) => !TEXT_EXTENSIONS.has(extension)),
);
/** Types by which messages are sent; what they are, their own extension tells best. */
const COMMON_TYPES: ReadonlySet<string> = new Set(
  [...EXTENSIONS.keys()].slice(0, [...EXTENSIONS.keys()].indexOf('text/calendar') + 1),
);

/** What else bytes of a type are called, and rightly. */
const ALSO: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.entries({
    'application/pdf': words('ai ait'),
    'application/zip': words('docx xlsx pptx odt ods odp epub apk jar'),
    'application/java-archive': words('apk war ear'),
    'application/gzip': words('svgz wmz emz'),
    'application/rtf': words('doc'),
    'application/postscript': words('ai eps'),
    'text/html': words('xhtml xht shtml md markdown php phtml asp aspx jsp vue mht mhtml eml hta xls doc'),
    'text/calendar': words('ifb vcs ical'),
    'image/svg+xml': words('xml'),
    'image/tiff': words('dng nef arw cr2 pef srw nrw iiq erf mef mos kdc dcr rwl sr2 3fr gtiff'),
    'image/heic': words('heif'),
    'image/heif': words('heif heic'),
    'video/mp4': words('m4v'),
    'video/x-m4v': words('mp4'),
    'video/3gpp': words('3g2'),
    'video/3gpp2': words('3gp'),
    'video/webm': words('weba'),
    'video/matroska': words('mka mk3d'),
    'video/ogg': words('ogg'),
    'video/x-ms-asf': words('asf'),
    'audio/x-ms-asf': words('asf wmv'),
    'application/vnd.ms-asf': words('wmv wma'),
  }),
);
