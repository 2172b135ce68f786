// The spellings in which servers and their serialisers write a text, for tests of what must not come back. Written from
// the formats' definitions, and sharing no line with what is tested.

export type Spelling = (text: string) => Buffer;

const each = (text: string, spell: (byte: number) => string): Buffer =>
  Buffer.from([...Buffer.from(text, 'utf8')].map(spell).join(''), 'latin1');
const some = (spell: (byte: number) => string) => (text: string) =>
  each(text, (byte) => (/[A-Za-z0-9]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : spell(byte)));
const hex = (byte: number, digits = 2): string => byte.toString(16).padStart(digits, '0');
const utf16 = (text: string): string => [...text].map((char) => hex(char.charCodeAt(0), 4)).join('');
const wrap = (text: string, width: number, end: string): string =>
  text.match(new RegExp(`.{1,${width}}`, 'g'))?.join(end) ?? '';
const json = (text: string): string => JSON.stringify(text).slice(1, -1);
const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');
const utf8 = (text: string): Buffer => Buffer.from(text, 'utf8');

const NAMED: Readonly<Record<string, string>> = {
  ...{
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&apos;',
    '/': '&sol;',
    '+': '&plus;',
    '=': '&equals;',
    ':': '&colon;',
  },
  ...{
    '.': '&period;',
    _: '&lowbar;',
    '%': '&percnt;',
    '#': '&num;',
    $: '&dollar;',
    '@': '&commat;',
    '!': '&excl;',
    '~': '~',
    '-': '-',
  },
};

/** One layer each, over the whole text. */
export const SPELLINGS: Readonly<Record<string, Spelling>> = {
  'as it is': utf8,
  'Latin-1': latin1,
  'JSON text': (text) => utf8(json(text)),
  'JSON with escaped slashes': (text) => utf8(json(text).replaceAll('/', '\\/')),
  'JSON with \\u00xx for what HTML knows': (text) =>
    utf8(json(text).replace(/[<>&'"+=/]/g, (char) => `\\u${hex(char.charCodeAt(0), 4)}`)),
  'JSON with \\u00XX for everything': (text) =>
    utf8([...text].map((char) => `\\u${hex(char.charCodeAt(0), 4).toUpperCase()}`).join('')),
  'JSON with \\u00xx for everything': (text) =>
    utf8([...text].map((char) => `\\u${hex(char.charCodeAt(0), 4)}`).join('')),
  'braced \\u{xx}': (text) => utf8([...text].map((char) => `\\u{${char.charCodeAt(0).toString(16)}}`).join('')),
  'long \\U000000xx': (text) => utf8([...text].map((char) => `\\U${hex(char.charCodeAt(0), 8)}`).join('')),
  '\\xXX for everything': (text) => each(text, (byte) => `\\x${hex(byte).toUpperCase()}`),
  '\\xxx where needed': some((byte) => `\\x${hex(byte)}`),
  'octal for everything': (text) => each(text, (byte) => `\\${byte.toString(8).padStart(3, '0')}`),
  'octal where needed': some((byte) => `\\${byte.toString(8).padStart(3, '0')}`),
  'shell backslashes': some((byte) => (byte < 0x80 ? `\\${String.fromCharCode(byte)}` : String.fromCharCode(byte))),
  'HTML names': (text) => utf8([...text].map((char) => NAMED[char] ?? char).join('')),
  'HTML decimal': some((byte) => (byte < 0x80 ? `&#${byte};` : String.fromCharCode(byte))),
  'HTML decimal for everything': (text) => utf8([...text].map((char) => `&#${char.charCodeAt(0)};`).join('')),
  'HTML hex': (text) => utf8([...text].map((char) => `&#x${hex(char.charCodeAt(0))};`).join('')),
  'HTML HEX with zeros': (text) =>
    utf8([...text].map((char) => `&#X${hex(char.charCodeAt(0), 6).toUpperCase()};`).join('')),
  'URL component': (text) => utf8(encodeURIComponent(text)),
  'URL component in lower case': (text) => utf8(encodeURIComponent(text).replace(/%../g, (code) => code.toLowerCase())),
  'form field': (text) => utf8(new URLSearchParams({ k: text }).toString().slice(2)),
  'percent for everything': (text) => each(text, (byte) => `%${hex(byte).toUpperCase()}`),
  'percent in lower case for everything': (text) => each(text, (byte) => `%${hex(byte)}`),
  'escape() with %u00xx': (text) => utf8([...text].map((char) => `%u${hex(char.charCodeAt(0), 4)}`).join('')),
  'quoted-printable': (text) =>
    each(text, (byte) =>
      byte > 0x20 && byte < 0x7f && byte !== 0x3d ? String.fromCharCode(byte) : `=${hex(byte).toUpperCase()}`,
    ),
  'quoted-printable for everything': (text) => each(text, (byte) => `=${hex(byte).toUpperCase()}`),
  'quoted-printable with soft breaks': (text) =>
    latin1(wrap([...utf8(text)].map((byte) => `=${hex(byte).toUpperCase()}`).join(''), 24, '=\r\n')),
  base64: (text) => latin1(utf8(text).toString('base64')),
  'base64 after one byte': (text) => latin1(utf8(`:${text}`).toString('base64')),
  'base64 after two bytes': (text) => latin1(utf8(`u:${text}`).toString('base64')),
  base64url: (text) => latin1(utf8(text).toString('base64url')),
  'base64url after one byte': (text) => latin1(utf8(`:${text}`).toString('base64url')),
  'base64url after two bytes': (text) => latin1(utf8(`u:${text}`).toString('base64url')),
  'base64 in lines of 76': (text) =>
    latin1(wrap(utf8(`${'a long first line of something else, '.repeat(2)}${text}`).toString('base64'), 76, '\r\n')),
  'base64 in lines of 64': (text) =>
    latin1(wrap(utf8(`${'something else '.repeat(3)}${text}`).toString('base64'), 64, '\n')),
  'base64 in indented lines': (text) =>
    latin1(wrap(utf8(`${'something else '.repeat(3)}${text}`).toString('base64'), 60, '\n    ')),
  hex: (text) => latin1(utf8(text).toString('hex')),
  HEX: (text) => latin1(utf8(text).toString('hex').toUpperCase()),
  'hex with blanks': (text) => each(text, (byte) => `${hex(byte)} `),
  'HEX with hyphens': (text) => latin1([...utf8(text)].map((byte) => hex(byte).toUpperCase()).join('-')),
  'hex with colons': (text) => latin1([...utf8(text)].map((byte) => hex(byte)).join(':')),
  'hex literals': (text) => latin1([...utf8(text)].map((byte) => `0x${hex(byte)}`).join(', ')),
  'JSON list of bytes': (text) => latin1(JSON.stringify([...utf8(text)])),
  'indented JSON list of bytes': (text) => latin1(JSON.stringify([...utf8(text)], undefined, 4)),
  'Go list of bytes': (text) => latin1(`[${[...utf8(text)].join(' ')}]`),
  'UTF-16, little-endian': (text) => Buffer.from(text, 'utf16le'),
  'UTF-16, big-endian': (text) => Buffer.from(text, 'utf16le').swap16(),
  'UTF-32, little-endian': (text) => Buffer.concat([...text].map((char) => Buffer.from([char.charCodeAt(0), 0, 0, 0]))),
  'hex of UTF-16': (text) => latin1(utf16(text)),
  'JSON in JSON': (text) => utf8(json(json(text).replaceAll('/', '\\/'))),
  'percent twice': (text) => utf8(encodeURIComponent(encodeURIComponent(text))),
};
