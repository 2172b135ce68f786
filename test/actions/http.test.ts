import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '../../src/domain/canonical.ts';
import { HOSTILE_CONTENT, HOSTILE_JSON, type HostileBody } from '../support/hostile-requests.ts';
import { type RawAnswer, sendRaw } from '../support/raw-http.ts';
import { API, classifying, LIMITS, type Seen, startServer, type TestServer } from './server.ts';

const servers = {} as Record<'stream' | 'bytes' | 'json', TestServer>;

beforeAll(async () => {
  for (const need of ['stream', 'bytes', 'json'] as const) servers[need] = await startServer(classifying(API, need));
});

afterAll(async () => {
  for (const server of Object.values(servers)) await server.close();
});

type Need = keyof typeof servers;

function send(need: Need, start: string, lines: readonly string[], body: string | Uint8Array = ''): Promise<RawAnswer> {
  const length = body.length === 0 ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  return sendRaw(
    servers[need].port,
    [`${start} HTTP/1.1`, 'Host: a', 'Connection: close', ...lines, ...length, '', ''].join('\r\n'),
    Buffer.from(body),
  );
}

const seen = (answer: RawAnswer): Seen => {
  if (answer.status !== 200) throw new Error(answer.text);
  return JSON.parse(Buffer.from(answer.body, 'latin1').toString()) as Seen;
};
const codeOf = (answer: RawAnswer): unknown =>
  answer.status === 200 ? 'accepted' : (JSON.parse(answer.body) as { code: unknown }).code;
const post = (need: Need, { contentType, headers = [], body }: Omit<HostileBody, 'name' | 'refusal'>) =>
  send(need, 'POST /api/a', [...(contentType === undefined ? [] : [`Content-Type: ${contentType}`]), ...headers], body);

describe('where a call goes', () => {
  it.each([
    ['/api', '/v1', '/', undefined],
    ['/api/', '/v1/', '/', undefined],
    ['/api?a', '/v1?a', '/', 'a'],
    ['/api/caf%C3%A9/b%20c?x=%2F', '/v1/caf%C3%A9/b%20c?x=%2F', '/caf%C3%A9/b%20c', 'x=%2F'],
  ])('forwards %s as %s, which rules see as %s', async (target, forwarded, path, query) => {
    const action = seen(await send('bytes', `GET ${target}`, ['Accept: */*']));
    expect(action).toMatchObject({
      protocol: 'http',
      upstream: 'api',
      authority: 'api.example:8443',
      method: 'GET',
      target: forwarded,
      path,
      streamed: false,
    });
    expect(action.query).toBe(query);
    expect(action.boundHeaders).toEqual(['accept', '*/*']);
  });

  it('forwards a mount without a base path as the root', async () => {
    const server = await startServer(classifying({ ...API, basePath: '' }, 'stream'));
    const targets = [];
    for (const target of ['/api', '/api?a', '/api/'])
      targets.push(
        seen(await sendRaw(server.port, `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)).target,
      );
    await server.close();
    expect(targets).toEqual(['/', '/?a', '/']);
  });
});

describe('how much of the body is read', () => {
  it('streams what nobody looks at, whatever it is', async () => {
    const action = seen(await post('stream', { contentType: 'application/octet-stream', body: Uint8Array.of(0xff) }));
    expect(action).toMatchObject({ streamed: true, contentType: 'application/octet-stream' });
    expect(action).not.toHaveProperty('bodyText');
  });

  it.each(['stream', 'bytes', 'json'] as const)('never calls an empty body streamed (%s)', async (need) => {
    const action = seen(await send(need, 'DELETE /api/a', []));
    expect(action).toMatchObject({ streamed: false });
    expect(action).not.toHaveProperty('args');
  });

  it('takes a chunked body of no chunks for an empty one', async () => {
    const raw =
      'POST /api/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n';
    const action = seen(await sendRaw(servers.json.port, raw));
    expect(action).toMatchObject({ streamed: false });
    expect(action).not.toHaveProperty('contentType');
  });

  it.each(['bytes', 'json'] as const)('parses and hashes JSON (%s), and keeps the very bytes', async (need) => {
    const body = '{ "amount": 1.0, "to": "Zoë" }';
    const action = seen(
      await post(need, { contentType: 'application/vnd.bank+json; charset="UTF-8"', body: Buffer.from(body) }),
    );
    expect(action).toMatchObject({
      args: { amount: 1, to: 'Zoë' },
      bodyText: body,
      bodyDigest: sha256(body),
      streamed: false,
    });
  });

  it.each([
    ['application/x-www-form-urlencoded', 'a=b&c=d'],
    ['text/plain; charset=utf-8', 'Zoë'],
    ['text/csv', 'a,b'],
    // Kind: text under another name, as AWS SDKs and kubectl send it.
    ['application/xml', '<?xml version="1.0" encoding="UTF-8"?><Delete><Object><Key>a</Key></Object></Delete>'],
    ['application/xml', '\ufeff<Tagging/>'],
    ['text/xml; charset=utf-8', "<?xml version='1.0' encoding='us-ascii'?><a/>"],
    ['application/soap+xml; action="urn:x"', '<s:Envelope/>'],
    ['application/yaml', 'kind: Pod'],
    ['application/apply-patch+yaml', 'kind: ConfigMap'],
  ])('shows %s to reviewers as text without arguments', async (contentType, body) => {
    const action = seen(await post('bytes', { contentType, body: Buffer.from(body) }));
    expect(action).toMatchObject({ bodyText: body, contentType });
    expect(action).not.toHaveProperty('args');
    expect(codeOf(await post('json', { contentType, body: Buffer.from(body) }))).toBe('unsupported_media_type');
  });

  it.each(['UTF-16', 'UTF-7', 'IBM037', 'iso-8859-1', 'x'])(
    'refuses XML that a parser would read as %s',
    async (encoding) => {
      for (const [contentType, start] of [
        ['application/xml', `<?xml version="1.0" encoding="${encoding}"?>`],
        ['text/xml', `\ufeff<?xml version='1.0' standalone='no' encoding = '${encoding}' ?>`],
        ['application/rss+xml', `\n<?XML encoding=${encoding}?>`],
      ] as const) {
        expect(codeOf(await post('bytes', { contentType, body: Buffer.from(`${start}<a/>`) }))).toBe(
          'unsupported_media_type',
        );
      }
    },
  );

  it('refuses text that is not UTF-8', async () => {
    expect(codeOf(await post('bytes', { contentType: 'text/plain', body: Uint8Array.of(0xff) }))).toBe(
      'unsupported_media_type',
    );
  });

  // The kind: two readings of one body. PHP and Rails keep names apart by case, ASP.NET does not.
  it('refuses a form with two names that some server takes for one, and takes a name that comes twice', async () => {
    const contentType = 'application/x-www-form-urlencoded';
    for (const body of [
      'amount=1&Amount=2',
      'amount=1&%41mount=2',
      'a=1&to=x&T%C2%ADo=y',
      'k=1;%E2%84%AA=2',
      'a[x]=1&a[X]=2',
    ])
      expect([body, codeOf(await post('bytes', { contentType, body: Buffer.from(body) }))]).toEqual([
        body,
        'bad_request',
      ]);
    for (const body of ['id=1&id=2', 'a[]=1&a[]=2', 'filter[a]=1&filter[b]=2', 'user.name=1&user_id=2', 'q=A&r=a', ''])
      expect([body, codeOf(await post('bytes', { contentType, body: Buffer.from(body) }))]).toEqual([body, 'accepted']);
  });

  it('takes words of Content-Encoding that code nothing for none', async () => {
    for (const word of ['', 'utf-8', 'none', 'identity, identity', 'Identity']) {
      const headers = [`Content-Encoding: ${word}`];
      expect([
        word,
        codeOf(await post('json', { contentType: 'application/json', headers, body: Buffer.from('{}') })),
      ]).toEqual([word, 'accepted']);
    }
    for (const word of ['gzip', 'identity, br', 'x-unknown'])
      expect(
        codeOf(
          await post('json', {
            contentType: 'application/json',
            headers: [`Content-Encoding: ${word}`],
            body: Buffer.from('{}'),
          }),
        ),
      ).toBe('unsupported_media_type');
  });

  it.each(['_method=DELETE&a=b', 'a=b&%5Fmethod=DELETE', 'a=b;_method=PUT'])(
    'refuses the form %s, which would override the method',
    async (body) => {
      expect(
        codeOf(await post('bytes', { contentType: 'application/x-www-form-urlencoded', body: Buffer.from(body) })),
      ).toBe('bad_request');
    },
  );

  it('keeps to the limit of its need', async () => {
    const json = (size: number) => ({
      contentType: 'application/json',
      body: Buffer.from(`"${'x'.repeat(size - 2)}"`),
    });
    expect(codeOf(await post('bytes', json(LIMITS.heldBodyBytes)))).toBe('accepted');
    expect(codeOf(await post('bytes', json(LIMITS.heldBodyBytes + 1)))).toBe('payload_too_large');
    expect(codeOf(await post('json', json(LIMITS.inspectedBodyBytes)))).toBe('accepted');
    expect(codeOf(await post('json', json(LIMITS.inspectedBodyBytes + 1)))).toBe('payload_too_large');
  });
});

describe('hostile bodies', () => {
  // Larger than the limit, it is refused for its size first.
  const fitting = HOSTILE_JSON.filter(({ body }) => body.length <= LIMITS.heldBodyBytes);

  it.each(fitting)('refuses $name, whether it may be held or a condition reads it', async (body) => {
    expect([codeOf(await post('bytes', body)), codeOf(await post('json', body))]).toEqual([body.refusal, body.refusal]);
  });

  it.each(HOSTILE_CONTENT)('refuses $name', async (body) => {
    expect([codeOf(await post('bytes', body)), codeOf(await post('json', body))]).toEqual([body.refusal, body.refusal]);
  });
});
