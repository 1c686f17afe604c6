import { ALTERNATIVE_EXTENSIONS, EXTENSIONS } from '../model/text/file-extensions.js';
import { essenceOf } from '../model/text/mime-type.js';

/**
 * Whether an extension (lower case, without its dot) describes bytes of this type at least as precisely as the type's
 * own extension.
 */
export function isAtLeastAsSpecific(extension: string, mimeType: string): boolean {
  const essence = essenceOf(mimeType);
  if (GENERIC.has(extension) || !isExtension(extension)) return false;
  if (ALTERNATIVES.get(essence)?.has(extension)) return true;
  if (GENERIC_TEXT_TYPES.has(essence)) return !hasSignature(extension);
  if (essence === 'application/zip') return !hasSignature(extension) && !TEXT_EXTENSIONS.has(extension);
  // A type that only file-type detects may be the container of a more specific format: a database, a model, a game.
  return !COMMON_TYPES.has(essence) && !isKnownExtension(extension);
}

/** Whether an extension belongs to a known type. An unknown one may be a part of the name. */
export function isKnownExtension(extension: string): boolean {
  return (
    SIGNATURE_EXTENSIONS.has(extension) ||
    TEXT_EXTENSIONS.has(extension) ||
    EXECUTABLE.has(extension) ||
    GENERIC.has(extension)
  );
}

/** Whether a browser that opens a saved file with this extension renders it and executes scripts in it. */
export function isMarkupExtension(extension: string): boolean {
  return MARKUP.has(extension);
}

/** Generic text types. Other text types are specific. */
const GENERIC_TEXT_TYPES: ReadonlySet<string> = new Set([
  'text/plain',
  'text/csv',
  'text/vtt',
  'application/json',
  'application/xml',
]);

/** Whether files of this extension begin with a signature, so that detection would have found their type. */
function hasSignature(extension: string): boolean {
  if (EXECUTABLE.has(extension)) return true;
  return SIGNATURE_EXTENSIONS.has(extension) && !TEXT_VARIANTS.has(extension) && !ZIP_BASED.has(extension);
}

/** Numbers, versions and dates are parts of a name, and so is the end of a domain. */
function isExtension(extension: string): boolean {
  return /[a-z]/.test(extension) && !/^v\d+$/.test(extension) && extension !== 'com';
}

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '));

const TEXT_EXTENSIONS = words('txt text log md html htm xhtml csv vcf vcard ics json xml svg');
/** Extensions that Windows or a browser executes or obeys. */
const EXECUTABLE = words('exe scr pif msi msp dll sys cpl ocx lnk apk jar');
const GENERIC = words('bin dat file tmp unknown download');
const MARKUP = words('html htm xhtml xht shtml svg svgz mht mhtml hta xml xsl xslt');
/** Extensions of types with a signature that may also be written as text: tables for Excel, letters for Word. */
const TEXT_VARIANTS = words('xls doc ps eps rtf stl reg vtt pgp ar ts it skp sav shp class');
/** Extensions of types with a signature that are ZIP archives. */
const ZIP_BASED = words(
  'docx docm dotx dotm xlsx xlsm xltx xltm pptx pptm potx potm ppsx ppsm vsdx odt ott ods ots odp otp odg otg epub xpi 3mf apk jar',
);
const SIGNATURE_EXTENSIONS: ReadonlySet<string> = new Set(
  [...EXTENSIONS.values(), ...ALTERNATIVE_EXTENSIONS.keys()].filter((extension) => !TEXT_EXTENSIONS.has(extension)),
);
/** Types that messaging carries. Their own extension is the most precise one. */
const COMMON_TYPES: ReadonlySet<string> = new Set(
  [...EXTENSIONS.keys()].slice(0, [...EXTENSIONS.keys()].indexOf('text/calendar') + 1),
);

/** Other correct extensions of a type. */
const ALTERNATIVES: ReadonlyMap<string, ReadonlySet<string>> = new Map(
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
