// Watches a body on its way for a field by which a framework would take another method than the one that was decided on
// (`_method` and its like). The body may be of any size: nothing of it is kept but the name that is being read. Knows
// urlencoded forms, multipart and the top of a JSON object, the three places from which frameworks take it, and reads
// each more generously than any of them.

import { type HeaderList, header } from '../domain/headers.ts';
import { isCoded } from '../domain/normal-forms/fields.ts';
import { overridesMethodByKey, overridesMethodByParameter } from '../domain/normal-forms/methods.ts';
import { parametersOf } from '../domain/normal-forms/parameters.ts';
import { GatewayError } from '../errors.ts';

/** Is shown each piece of a body before it goes on. Throws `bad_request` for a field that overrides the method. */
export type BodyWatch = (piece: Uint8Array) => void;

type BodyKind = 'form' | 'multipart' | 'json';

/**
 * What looks at the body that the fields announce; undefined for one from which no framework takes a method. Throws
 * `unsupported_media_type` for one that is compressed, or in a charset that is not ASCII for ASCII's letters, since
 * frameworks decode it before they look.
 */
export function watchOverride(headers: HeaderList): BodyWatch | undefined {
  const kind = kindOf(header(headers, 'content-type'));
  if (kind === undefined) return undefined;
  if (isCoded(header(headers, 'content-encoding'))) {
    const detail =
      'The rules are stricter for other methods here, and a field of the body could name one: send the body ' +
      'without Content-Encoding.';
    throw new GatewayError('unsupported_media_type', detail);
  }
  if (isOddlyEncoded(header(headers, 'content-type'))) {
    const detail =
      'The rules are stricter for other methods here, and a field of the body could name one: send the body in UTF-8.';
    throw new GatewayError('unsupported_media_type', detail);
  }
  const scan = { form: scanForm, multipart: scanMultipart, json: scanJson }[kind]();
  return (piece) => scan(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength));
}

/** Rack takes a body without a type for a form. */
function kindOf(contentType: string | undefined): BodyKind | undefined {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (type === '' || type.includes('urlencoded')) return 'form';
  if (type.startsWith('multipart/')) return 'multipart';
  return /[/+]json$|\/x-amz-json-[\d.]+$/.test(type) ? 'json' : undefined;
}

/**
 * Charsets in which a name of ASCII letters is spelled by the bytes of ASCII. ASP.NET and Express read others, UTF-16
 * among them.
 */
const PLAIN_CHARSET = /^"?(?:utf-?8|(?:us-)?ascii|iso-8859-\d{1,2}|latin-?\d|windows-125\d)"?$/;

function isOddlyEncoded(contentType = ''): boolean {
  const charsets = contentType.toLowerCase().matchAll(/[;,]\s*charset\s*=\s*([^;,\s]*)/g);
  return [...charsets].some(([, charset = '']) => !PLAIN_CHARSET.test(charset));
}

/** Whether an urlencoded text names a parameter that overrides the method. */
export function formOverridesMethod(text: string): boolean {
  for (const { name } of parametersOf(text)) if (overridesMethodByParameter(name)) return true;
  return false;
}

/**
 * Bytes of a name that are looked at, blanks at its beginning aside: more than any of the names takes when every
 * character is escaped.
 */
const NAME_BYTES = 256;
const [AMPERSAND, SEMICOLON, EQUALS, PLUS, SPACE] = [0x26, 0x3b, 0x3d, 0x2b, 0x20];
const ESCAPED_BLANK = /^%(?:20|0[9a-d])$/i;

function scanForm(): (piece: Buffer) => void {
  let name = '';
  let inName = true;
  return (piece) => {
    for (const byte of piece) {
      if (byte === AMPERSAND || byte === SEMICOLON) {
        name = '';
        inName = true;
      } else if (byte === EQUALS) {
        // A parameter without a value names no method.
        if (inName && formOverridesMethod(name)) throw overridden();
        inName = false;
      } else if (inName && name.length < NAME_BYTES && !(name === '' && (byte === PLUS || byte === SPACE))) {
        name += String.fromCharCode(byte);
        if (ESCAPED_BLANK.test(name)) name = '';
      }
    }
  };
}

const [LINE_FEED, RETURN, HYPHEN] = [0x0a, 0x0d, 0x2d];
/** Bytes of a part's head that are looked at. */
const HEAD_BYTES = 16 * 1024;

/**
 * Whatever the boundary is: a part begins with a line that begins with `--`, and its head ends with an empty line.
 * Werkzeug ends lines at a lone CR, too.
 */
function scanMultipart(): (piece: Buffer) => void {
  let line = '';
  let returned = false;
  let head: string | undefined;
  const endLine = (): void => {
    if (line.startsWith('--')) head = '';
    else if (head !== undefined) {
      if (line.trim() === '' || head.length > HEAD_BYTES) head = undefined;
      else {
        // A folded line goes on with the one before it.
        head += /^[ \t]/.test(line) ? ` ${line.trim()}` : `\n${line.trimEnd()}`;
        if (headOverridesMethod(head)) throw overridden();
      }
    }
    line = '';
  };
  return (piece) => {
    let feed = piece.indexOf(LINE_FEED);
    let turn = piece.indexOf(RETURN);
    for (let at = 0; at < piece.length; ) {
      if (returned && piece[at] === LINE_FEED) at++;
      returned = false;
      if (feed !== -1 && feed < at) feed = piece.indexOf(LINE_FEED, at);
      if (turn !== -1 && turn < at) turn = piece.indexOf(RETURN, at);
      const end = turn === -1 || (feed !== -1 && feed < turn) ? feed : turn;
      const stop = end === -1 ? piece.length : end;
      // Of a line that belongs to no head only the beginning tells anything.
      const wanted = head === undefined && piece[at] !== HYPHEN && line === '' ? 2 : HEAD_BYTES;
      if (line.length < wanted) line += piece.toString('latin1', at, Math.min(stop, at + wanted - line.length));
      if (end !== -1) endLine();
      returned = end !== -1 && end === turn;
      at = stop + 1;
    }
  };
}

const DISPOSITION = /^content-disposition\s*:.*/gim;
const NAMES = /[;\s]name\*?\s*=\s*(?:"((?:[^"\\]|\\.)*)|([^;\s]+))/gi;

function headOverridesMethod(head: string): boolean {
  for (const [field] of head.matchAll(DISPOSITION)) {
    for (const [, quoted, bare = ''] of field.matchAll(NAMES)) {
      const name = (quoted?.replace(/\\(.)/g, '$1') ?? bare).replace(/^[\w-]*'[\w-]*'/, '');
      // The bytes of a name as UTF-8, and without those beyond ASCII, which Werkzeug drops from `name*=`.
      const readings = [
        name,
        Buffer.from(name, 'latin1').toString('utf8'),
        name.replace(/[\x80-\xff]|%[89a-f][0-9a-f]/gi, ''),
      ];
      if (readings.some((reading) => overridesMethodByParameter(reading) || formOverridesMethod(reading))) return true;
    }
  }
  return false;
}

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const [OPEN_OBJECT, OPEN_LIST, CLOSE_OBJECT, CLOSE_LIST] = [0x7b, 0x5b, 0x7d, 0x5d];

function scanJson(): (piece: Buffer) => void {
  let depth = 0;
  let inString = false;
  let escaped = false;
  let key: number[] | undefined;
  let keyNext = false;
  return (piece) => {
    for (const byte of piece) {
      // No JSON in UTF-8 holds it: Jackson and Python's json take such a body for UTF-16 or UTF-32.
      if (byte === 0) throw overridden();
      if (inString) {
        if (byte === QUOTE && !escaped) {
          inString = false;
          if (key !== undefined && overridesMethodByKey(decodeKey(key))) throw overridden();
          key = undefined;
        } else {
          if (key !== undefined && key.length < NAME_BYTES) key.push(byte);
          escaped = byte === BACKSLASH && !escaped;
        }
      } else if (byte === QUOTE) {
        inString = true;
        escaped = false;
        key = depth === 1 && keyNext ? [] : undefined;
        keyNext = false;
      } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) keyNext = ++depth === 1 && byte === OPEN_OBJECT;
      else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) depth--;
      else if (byte === COMMA && depth === 1) keyNext = true;
    }
  };
}

function decodeKey(bytes: readonly number[]): string {
  const raw = Buffer.from(bytes).toString('utf8');
  try {
    return String(JSON.parse(`"${raw}"`));
  } catch {
    return raw;
  }
}

export function overridden(): GatewayError {
  return new GatewayError(
    'bad_request',
    'A field of the body would override the method, for which other rules stand. Send the request with that method.',
  );
}
