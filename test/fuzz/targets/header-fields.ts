// Header fields, one `name: value` a line. What is accepted holds nothing that belongs to the connection, is accepted
// again as it is, and says the same to WHATWG Headers, field by field.

import { acceptFields, boundHeaders, forwardableHeaders } from '../../../src/actions/fields.ts';
import { fromPieces } from '../inputs.ts';
import { accepted, demand, type Target } from '../target.ts';

const NAMES = [
  ...[
    'Host',
    'Content-Length',
    'Transfer-Encoding',
    'Connection',
    'Upgrade',
    'TE',
    'Trailer',
    'Keep-Alive',
    'Expect',
    'Authorization',
    'Cookie',
    'Accept',
    'Range',
    'Prefer',
  ],
  ...[
    'Content-Type',
    'content_type',
    'x_agent.id',
    'X-Agent-Id',
    'X-HTTP-Method-Override',
    'X-Original-URL',
    'X-Forwarded-For',
    'traceparent',
    'User-Agent',
    'DPoP',
  ],
  ...[
    'Mcp-Session-Id',
    'Mcp-Param-A',
    'Countersign-Task',
    'Idempotency-Key',
    'If-Match',
    'X-A',
    'x-a',
    '__proto__',
    'constructor',
    'sec-websocket-key',
    'X-B',
  ],
];
const VALUES = [
  'a',
  'b',
  'chunked',
  'close',
  'keep-alive',
  'x-a',
  'x-a, x-b',
  'upgrade',
  'websocket',
  'h2c',
  'identity',
  '"a,b"',
  'wait=5',
  ', ',
  'respond-async',
  '0',
  '1, 1',
  '',
];

function fieldsOf(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const colon = line.indexOf(':');
    const [name, value] = [line.slice(0, colon), line.slice(colon + 1).trim()];
    // As node:http hands them on: tokens, and values without controls.
    return colon > 0 && /^[!#$%&'*+.^_`|~\w-]+$/.test(name) && /^[\t\x20-\x7e\x80-\xff]*$/.test(value)
      ? [name, value]
      : [];
  });
}

const namesOf = (headers: readonly string[]): string[] => headers.filter((_, index) => index % 2 === 0);
const HOP = new Set(
  'connection keep-alive proxy-connection te trailer upgrade http2-settings transfer-encoding'.split(' '),
);

export const headerFields: Target = {
  name: 'header-fields',
  drives: 'which fields are accepted, forwarded and bound',
  inputs: fromPieces(
    [
      ...NAMES.flatMap((name) => VALUES.slice(0, 4).map((value) => `${name}: ${value}\n`)),
      ...NAMES.map((name) => `\n${name}: `),
      ...VALUES,
      '\n',
      ':',
    ],
    12,
  ),
  read: (text) => void boundHeaders(acceptFields(fieldsOf(text)).headers, []),
  check(text) {
    const raw = fieldsOf(text);
    const fields = accepted(() => acceptFields(raw));
    if (fields === undefined) return;
    const names = namesOf(fields.headers);
    for (const name of names)
      demand(name === name.toLowerCase() && !HOP.has(name) && !name.includes('_'), `The field ${name} was accepted.`);
    const again = acceptFields(fields.headers);
    demand(
      JSON.stringify(again.headers) === JSON.stringify(fields.headers),
      'What was accepted is not accepted again as it is.',
    );
    const forwarded = forwardableHeaders(fields.headers);
    demand(
      namesOf(forwarded).every(
        (name) => names.includes(name) && !/^(?:authorization|cookie|host|content-length)$|^countersign-/.test(name),
      ),
      'Too much is forwarded.',
    );
    demand(
      namesOf(boundHeaders(fields.headers, [])).every((name) => namesOf(forwarded).includes(name)),
      'More is bound than is forwarded.',
    );
    const standard = new Headers();
    for (let i = 0; i < raw.length; i += 2) standard.append(raw[i] as string, raw[i + 1] as string);
    for (const name of ['host', 'authorization', 'content-type', 'content-length', 'idempotency-key', 'range']) {
      const values = fields.headers.filter((_, index) => index % 2 === 1 && fields.headers[index - 1] === name);
      demand(
        values.length <= 1 && (values.length === 0 || values[0] === standard.get(name)),
        `Two readers disagree on ${name}.`,
      );
    }
  },
};
