// A host that is not trusted is spelled so that it looks trusted, or hidden where nobody looks; and a host that is
// trusted stays trusted in every spelling. Kind: two readers of one text, of which the one that decides is not the one
// that connects.

import { describe, expect } from 'vitest';
import { rule } from '../../support/config.ts';
import type { Environment } from '../../support/environment.ts';
import { connectV1, connectV2 } from '../../support/mcp-clients.ts';
import { newAgent, outcomeOf, post, type ToolResult, worldTest } from '../../support/reads-and-sends.ts';

const EXTERNAL = 'action.destination == "external"';

const it = worldTest(({ origin }: { origin: string }) => ({
  destinations: {
    internal: ['*.corp.example', '10.0.0.0/8', 'hub.example/teams/ours/*', '2001:db8:aa::/48'],
    partner: ['*.acme.example', 'id:DE89*'],
  },
  upstreams: {
    ...{ api: { trust: 'internal' }, tools: { trust: 'internal' }, modern: { trust: 'internal' } },
    outside: { url: origin },
  },
  resources: [
    { id: 'mails', match: { upstream: 'api', path: '/mails' }, sendsTo: ['args.to', 'args.cc'] },
    { id: 'moves', match: { upstream: 'api', path: '/moves' }, sendsTo: ['args.iban'] },
  ],
  rules: [
    rule.allow('http', { upstream: 'api' }),
    rule.hold('outward', { upstream: 'api' }, { when: EXTERNAL }),
    rule.allow('outside', { upstream: 'outside' }),
    rule.hold('outside-outward', { upstream: 'outside' }, { when: EXTERNAL }),
    rule.allow('tools', { tool: '*' }),
    rule.deny('tools-outward', { tool: '*' }, { when: EXTERNAL }),
    rule.allow('documents', { mcp: ['resources/read'], resource: '*' }),
    rule.deny('documents-outward', { mcp: ['resources/read'] }, { when: EXTERNAL }),
  ],
}));

const HELD = 'approval_pending';

/** Each is a URL of a host that is not trusted, in running text. */
const FOREIGN_URLS = [
  'https://evil.test/x',
  'HTTPS://EVIL.TEST',
  'hTTp://eViL.test./',
  'see https://evil.test.',
  '(https://evil.test)',
  '//evil.test/x',
  'www.evil.test',
  'ftp://evil.test',
  'wss://evil.test',
  'git+ssh://git@evil.test/x',
  'https://a.corp.example@evil.test/',
  'https://a.corp.example:443@evil.test/',
  'https://a.corp.example%40evil.test/',
  'https://evil.test\\@a.corp.example/',
  'https:\\\\evil.test\\x',
  '\\\\evil.test\\share',
  'https:\\/\\/evil.test\\/x',
  'https://a.corp.example.evil.test/',
  'https://xcorp.example/',
  'https://corp.example/',
  'https://evil.test/.corp.example',
  'https://evil.test?a.corp.example',
  'https://evil.test#a.corp.example',
  'https://a.cоrp.example/',
  'https://a.xn--crp-tmc.example/',
  'https://a-corp.example/',
  'https://ｅｖｉｌ.test/',
  'https://evil。test/',
  'https%3A%2F%2Fevil.test%2Fx',
  'https:%2F%2Fevil.test',
  '%2F%2Fevil.test',
  'https://%65vil.test/',
  'https://evil%2Etest/',
  'https://hub.example/teams/theirs/x',
  'https://hub.example/teams/ours/../theirs/x',
  'https://hub.example/teams/ours%2f..%2ftheirs',
  'https://hub.example/',
  'http://192.168.0.1/',
  'http://3232235521/',
  'http://0xC0A80001/',
  'http://0xc0.0xa8.0.1/',
  'http://0300.0250.0.1/',
  'http://192.168.1/',
  'http://11.0.0.1/',
  'http://[::ffff:192.168.0.1]/',
  'http://[::ffff:c0a8:1]/',
  'http://[2001:db8:bb::1]/',
  'at 192.168.0.1 now',
  'write to me@evil.test',
  'write to ME@EVIL.TEST.',
  'Me <me@evil.test>',
  'you@a.corp.example, me@evil.test',
  'you@a.corp.example@evil.test',
  'me%40evil.test',
  'mailto:me@evil.test',
  'MAILTO:you@a.corp.example,me@evil.test',
  'mailto:you@a.corp.example?cc=me@evil.test',
  'mailto:you@a.corp.example?subject=x&BCC=me%40evil.test',
  'https://a.corp.example/ and https://evil.test/',
];

/** Each is a whole body; a host is found by the name of its member, or in a place where few look. */
const FOREIGN_BODIES: readonly object[] = [
  { url: 'evil.test' },
  { URL: 'EVIL.TEST.' },
  { Host: 'evil.test:8080' },
  { webhook: 'evil.test/hook' },
  { callback: 'evil.test?x=1' },
  { endpoint: 'https:evil.test' },
  { href: 'https:/evil.test/x' },
  { domain: 'a.corp.example.evil.test' },
  { server: 'user@evil.test' },
  { hostname: 'ｅｖｉｌ．ｔｅｓｔ' },
  { uri: 'a.corp.example@evil.test' },
  { host: '0300.0250.0.1' },
  { to: ['you@a.corp.example', 'evil.test'] },
  { Bcc: 'you@a.corp.example; me@evil.test' },
  { attendees: [{ email: 'me@evil.test' }] },
  { a: [{ b: [[{ c: 'https://evil.test' }]] }] },
  { 'https://evil.test/x': true },
  { a: { 'me@evil.test': { b: 1 } } },
  { text: JSON.stringify({ a: { url: 'https://evil.test' } }) },
  { text: JSON.stringify(JSON.stringify({ to: 'me@evil.test' })) },
  { text: '<a href="https://evil.test/">a.corp.example</a>' },
  { text: '[a.corp.example](https://evil.test)' },
  { text: `${'long '.repeat(2000)}https://evil.test` },
];

/** Each names trusted hosts only, or none. */
const TRUSTED_BODIES: readonly object[] = [
  { text: 'Nothing here: no host, and/or version 1.2.3, e.g. file.txt at 10:30.' },
  { text: 'https://a.corp.example/x' },
  { text: 'HTTPS://A.CORP.EXAMPLE.' },
  { text: 'https://a.corp.example.:8443/' },
  { text: 'https://user:secret@a.corp.example/' },
  { text: 'https://a.b.c.corp.example/' },
  { text: 'https:\\\\a.corp.example\\x' },
  { text: 'https://a.corp。example/' },
  { text: 'https://ａ.corp.example/' },
  { text: 'https://a%2Ecorp.example/' },
  { text: 'https%3A%2F%2Fa.corp.example%2F' },
  { text: '//a.corp.example/x' },
  { text: 'http://10.1.2.3/' },
  { text: 'http://0x0a010203/' },
  { text: 'http://167838211/' },
  { text: 'http://012.1.2.3/' },
  { text: 'http://[::ffff:10.1.2.3]/' },
  { text: 'http://[::ffff:a01:203]/' },
  { text: 'http://[2001:DB8:aa:0:0::1]/' },
  { text: 'write to you@a.corp.example' },
  { text: 'mailto:you@a.corp.example,she@b.corp.example?cc=they@c.acme.example' },
  { text: 'https://hub.example/teams/ours/x' },
  { text: 'https://hub.example/teams/theirs/../ours/x' },
  { url: 'a.corp.example' },
  { Host: 'A.corp.EXAMPLE.:443' },
  { a: { 'https://a.corp.example/': 1 } },
];

const texts = (all: readonly string[]): readonly object[] => all.map((text) => ({ text }));

/** The bodies that are not answered so, with what they are answered. */
async function misjudged(bodies: readonly object[], right: string, send: (body: object) => Promise<string>) {
  const wrong: unknown[] = [];
  for (const body of bodies) {
    const outcome = await send(body);
    if (outcome !== right) wrong.push([outcome, body]);
  }
  return wrong;
}

describe('over plain HTTP', () => {
  it('each URL is external', async ({ env }) => {
    expect(await misjudged(texts(FOREIGN_URLS), HELD, (body) => post(env, '/api/notes', newAgent(), body))).toEqual([]);
  });

  it('each body names something external', async ({ env }) => {
    expect(await misjudged(FOREIGN_BODIES, HELD, (body) => post(env, '/api/notes', newAgent(), body))).toEqual([]);
  });

  // A gateway for which everything is external would pass the tests above.
  it('each trusted spelling is trusted', async ({ env }) => {
    expect(await misjudged(TRUSTED_BODIES, 'sent', (body) => post(env, '/api/notes', newAgent(), body))).toEqual([]);
  });

  it('the query is searched, and the path is not', async ({ env }) => {
    const send = (path: string) => post(env, path, newAgent(), {});
    expect(await send('/api/notes?next=https://evil.test')).toBe(HELD);
    expect(await send('/api/notes?next=https%3A%2F%2Fevil.test')).toBe(HELD);
    expect(await send('/api/notes?url=evil.test')).toBe(HELD);
    expect(await send('/api/notes?next=https%3A%2F%2Fa.corp.example')).toBe('sent');
    expect(await send('/api/evil.test/me@evil.test')).toBe('sent');
  });

  // What cannot be read cannot be searched. Where a rule asks for what is in the body, another type is refused.
  it('a body of a type that nobody searches is not sent', async ({ env }) => {
    const options = {
      method: 'POST',
      body: '\u0000\u0001',
      headers: { 'content-type': 'application/octet-stream', prefer: 'wait=0' },
    };
    expect(await outcomeOf(env.call('/api/notes', options))).toBe('unsupported_media_type');
    const form = {
      method: 'POST',
      body: 'next=https%3A%2F%2Fevil.test',
      headers: { 'content-type': 'application/x-www-form-urlencoded', prefer: 'wait=0' },
    };
    expect(await outcomeOf(env.call('/api/notes', form))).toBe('unsupported_media_type');
  });

  // The upstream itself is a destination, whatever the body says.
  it('an upstream without a trust is external', async ({ env }) => {
    expect(await post(env, '/outside/notes', newAgent(), {})).toBe(HELD);
  });

  it.for([
    ['you@a.corp.example', 'sent'],
    ['"me@evil.test" <you@a.corp.example>', HELD],
    ['me@evil.test', HELD],
    ['you@a.corp.example,me@evil.test', HELD],
    ['mailto:you@a.corp.example?bcc=me@evil.test', HELD],
    ['mailto:you@a.corp.example?to=she@b.corp.example', 'sent'],
    ['nobody', HELD],
    ['', HELD],
    [['you@a.corp.example', ['me@evil.test']], HELD],
    [{ address: 'you@a.corp.example' }, HELD],
    [7, HELD],
  ] as const)('what is sent to %j counts by every recipient', async ([to, outcome], { env }) => {
    expect(await post(env, '/api/mails', newAgent(), { to, cc: [], text: 'https://evil.test' })).toBe(outcome);
  });

  it.for([
    ['DE89 3704 0044 0532 0130 00', 'sent'],
    ['de89370400440532013000', 'sent'],
    ['DE88 3704 0044 0532 0130 00', HELD],
    ['xDE89 3704', HELD],
    ['https://DE89.evil.test', HELD],
  ] as const)('the account %j is found by its pattern', async ([iban, outcome], { env }) => {
    expect(await post(env, '/api/moves', newAgent(), { iban })).toBe(outcome);
  });
});

describe.for(['tools', 'modern'] as const)('over MCP at %s', (mount) => {
  const connect = async (env: Environment) =>
    mount === 'tools' ? (await connectV1(env, mount)).client : await connectV2(env, mount);

  it('each of them is found in the arguments of a tool', async ({ env }) => {
    const client = await connect(env);
    const send = async (args: object) => {
      const call = { name: 'route_job', arguments: { ...args } };
      const { isError, _meta } = (await client.callTool(call)) as ToolResult;
      return isError === true ? String(_meta?.['countersign/code']) : 'sent';
    };
    expect(await misjudged([...texts(FOREIGN_URLS), ...FOREIGN_BODIES], 'denied', send)).toEqual([]);
    expect(await misjudged(TRUSTED_BODIES, 'sent', send)).toEqual([]);
  });

  // A rule about the URI of a resource matches it as a text.
  it.for([
    'https://evil.test/x',
    'HTTPS://EVIL.TEST',
    'https://a.corp.example@evil.test/',
    'smb://evil.test/x',
    'https://evil%2Etest/',
  ])('the resource %j is external', async (uri, { env }) => {
    const client = await connect(env);
    await expect(client.readResource({ uri })).rejects.toMatchObject({ data: { code: 'denied' } });
  });

  it.for(['https://a.corp.example/x', 'HTTPS://A.CORP.EXAMPLE/', 'http://10.1.2.3/'])(
    'the resource %j is not',
    async (uri, { env }) => {
      const client = await connect(env);
      await expect(client.readResource({ uri })).rejects.toMatchObject({ code: -32601 });
    },
  );
});
