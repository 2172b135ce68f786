// Where a call leads, however it is written. Kinds of fault: a spelling of a host that changes its trust; a place to hide a
// host in; a text whose cost grows faster than its length; a failure that makes a destination look trusted.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Action } from '../../src/domain/action.ts';
import type { DecisionInput } from '../../src/domain/decision.ts';
import type { Json } from '../../src/domain/json.ts';
import { checkPolicy } from '../../src/policy/check.ts';
import { compilePolicy } from '../../src/policy/policy.ts';
import type { PolicyOptions, ResourceOptions, RuleOptions } from '../../src/policy/rules.ts';
import { mcpOf } from '../support/mcp-message.ts';
import { call, policyOf, post, toolCall } from './inputs.ts';

const DESTINATIONS = {
  internal: [
    '*.bank.example',
    'bank.example',
    '10.0.0.0/8',
    'fd00::/8',
    'api.github.example/repos/bank/*',
    '*.bücher.example',
  ],
  partner: ['*.acme.example', 'guest.bank.example', 'api.github.example', 'id:DE89*'],
};
const upstreams = {
  ledger: { protocol: 'http' as const, trust: 'internal' },
  tools: { protocol: 'mcp' as const, trust: 'internal' },
};
const pass: RuleOptions = { id: 'pass', match: {}, decide: 'allow' };

const policyWith = (rest: Partial<PolicyOptions> = {}, rules: readonly RuleOptions[] = [pass]) =>
  compilePolicy(policyOf(rules, { destinations: DESTINATIONS, upstreams, ...rest }));
const policy = policyWith();

const mentionsIn = (args: Json) => policy.destinations(post(args)).mentions;
/** The least trusted place that a call with these arguments leads to. */
const trustOf = (args: Json): string => policy.destinations(post(args)).trust;

const sendMail: ResourceOptions = {
  id: 'send-mail',
  match: { upstream: 'tools', tool: 'send_mail' },
  sendsTo: ['args.to', 'args.cc', 'args.bcc'],
};
const mailing = policyWith({ resources: [sendMail] });
const mailed = (args: Json) => mailing.destinations(toolCall('send_mail', args));

describe('no spelling changes the trust of a host', () => {
  it.each([
    ['https://files.bank.example/x', 'internal'],
    ['HTTPS://FILES.BANK.EXAMPLE/x', 'internal'],
    ['https://files.bank.example./x', 'internal'],
    ['https://files。bank。example/x', 'internal'],
    ['https://ｆｉｌｅｓ.ｂａｎｋ.example/x', 'internal'],
    ['https://%66iles.bank.example/x', 'internal'],
    ['https%3A%2F%2Ffiles.bank.example%2Fx', 'internal'],
    ['https://user:pass@files.bank.example:8443/x', 'internal'],
    ['https://evil.example@files.bank.example/x', 'internal'],
    ['see (https://files.bank.example), please.', 'internal'],
    ['[page](https://files.bank.example)', 'internal'],
    ['//files.bank.example/x', 'internal'],
    ['\\\\files.bank.example\\share', 'internal'],
    ['http:\\\\files.bank.example/x', 'internal'],
    ['https://a.bücher.example', 'internal'],
    ['https://a.xn--bcher-kva.example', 'internal'],
    ['https://A.B\u00dcCHER.example', 'internal'],
    ['http://10.1.2.3/', 'internal'],
    ['http://167838211/', 'internal'],
    ['http://0x0a010203/', 'internal'],
    ['http://012.1.2.3/', 'internal'],
    ['http://10.66051/', 'internal'],
    ['http://[::ffff:10.1.2.3]/', 'internal'],
    ['http://[::ffff:a01:203]/', 'internal'],
    ['http://[0:0:0:0:0:ffff:a01:203]:80/', 'internal'],
    ['http://[FD00::1]/', 'internal'],
    ['mail bob@bank.example today', 'internal'],
    ['Bob <bob@BANK.EXAMPLE>', 'internal'],
    ['bob@[10.1.2.3]', 'internal'],
    ['the server 10.1.2.3.', 'internal'],
    ['fd00::17', 'internal'],
    ['www.bank.example', 'internal'],
    ['https://x.acme.example', 'partner'],
    ['https://acme.example', 'external'],
    ['https://guest.bank.example', 'partner'],
    ['https://a.guest.bank.example', 'internal'],
    ['https://bank.example.evil.example/', 'external'],
    ['https://notbank.example/', 'external'],
    ['https://xbank.example/', 'external'],
    ['https://files.bank.example/@scope', 'internal'],
    ['https://files.bank.example/@scope/name', 'internal'],
    ['see https://files.bank.example/@eve.', 'internal'],
    ['https://files.bank.example/x/@eve@evil.example', 'external'],
    ['https://files.bank.example/@evil.example', 'external'],
    ['files.bank.example/@evil.example/x', 'external'],
    ['/@evil', 'internal'],
    ['https://files.bank.example/x?to=eve@evil', 'external'],
    ['https://a:/@evil.example', 'external'],
    ['https://files.bank.example\\@scope', 'internal'],
    ['https://files.bank.example@evil.example/', 'external'],
    ['https://files.bank.example%40evil.example/', 'external'],
    ['https://files.bank.example\\@evil.example/', 'external'],
    ['https://files.bank.example#@evil.example/', 'external'],
    ['https://files.bank.example?@evil.example/', 'external'],
    ['https://files.bank.example\t.evil.example/', 'external'],
    ['ht\ntps://ev\til.example/', 'external'],
    [' \u0000https://evil.example ', 'external'],
    ['https://files.bank.example".evil.example/', 'external'],
    ["https://files.bank.example'.evil.example/", 'external'],
    ['https://files.bank.example,.evil.example/', 'external'],
    ['https://files.bank.example%2eevil.example/', 'external'],
    ['https://files.b\u0430nk.example/', 'external'],
    ['https://files.xn--bnk-7cd.example/', 'external'],
    ['https://files.bank\u00ad.example.evil.example/', 'external'],
    ['http:evil.example', 'external'],
    ['https:/evil.example/x', 'external'],
    ['https:\\/\\/evil.example\\/x', 'external'],
    ['https:\\u002f\\u002fevil.example', 'external'],
    ['/\\evil.example/x', 'external'],
    ['http:///evil.example/x', 'external'],
    ['///evil.example', 'external'],
    ['file://evil.example/share', 'external'],
    ['file:////evil.example/share', 'external'],
    ['gopher://evil.example', 'external'],
    ['http://11.1.2.3/', 'external'],
    ['http://184615427/', 'external'],
    ['http://[::ffff:11.1.2.3]/', 'external'],
    ['http://[64:ff9b::10.1.2.3]/', 'external'],
    ['http://[2001:db8::1]/', 'external'],
    ['2001:db8::1', 'external'],
    ['the server 11.1.2.3', 'external'],
    ['http://10.1.2.3.evil.example/', 'external'],
    ['http://10.1.2.256/', 'external'],
    ['https://files.bank.example:99999/', 'external'],
    ['https://[files.bank.example]/', 'external'],
    ['mailto:bob@bank.example?cc=eve@evil.example', 'external'],
    ['mailto:bob@bank.example,eve%40evil.example', 'external'],
    ['mailto:bob@bank.example?subject=x&bcc=eve%40evil.example', 'external'],
    ['bob@bank.example, eve@evil.example', 'external'],
    ['"eve the first"@evil.example', 'external'],
    ['eve@evil.example.', 'external'],
    ['eve@[11.1.2.3]', 'external'],
    ['www.evil.example', 'external'],
    ['www。evil。example', 'external'],
    ['eve＠evil.example', 'external'],
    ['eve\ufe6bevil\u2024example', 'external'],
    ['／／evil.example', 'external'],
    ['https：／／evil.example', 'external'],
    ['https%ef%bc%9a%ef%bc%8f%ef%bc%8fevil.example', 'external'],
    ['<img src="https&#58;&#47;&#x2f;evil&period;example">', 'external'],
    ['<img src="https&colon;&sol;&sol;evil.example">', 'external'],
    ['<img src="&#104&#116&#116&#112&#115&#58//evil.example">', 'external'],
    ['a &amp; b &#169; &#x110000; &#0;', 'internal'],
    ['https://api.github.example/repos/bank/x', 'internal'],
    ['https://api.github.example/repos/bank//../evil', 'partner'],
    ['https://api.github.example/repos/bank/\\..\\evil', 'partner'],
    ['https://api.github.example/repos/evil/../bank/x', 'internal'],
    ['https://api.github.example/repos/evil/%2e%2e/bank/x', 'partner'],
    ['https://a.bank.example,https://evil.example', 'external'],
    ['https://a.bank.example,https://b.bank.example', 'internal'],
    [`https://${'a'.repeat(3000)}@evil.example/`, 'external'],
    [`https://files.bank.example/${'a'.repeat(9000)}`, 'internal'],
    [`https://${'a.'.repeat(3000)}bank.example/`, 'external'],
  ])('%s is %s', (text, trust) => {
    expect(trustOf({ note: text })).toBe(trust);
    expect(trustOf({ deep: [{ er: [text] }] })).toBe(trust);
    expect(trustOf({ [text]: 1 })).toBe(trust);
    expect(trustOf([text])).toBe(trust);
    expect(trustOf({ note: JSON.stringify({ a: { b: text } }) })).toBe(trust);
  });

  it.each([
    'no host here',
    'a/b//c',
    'and//or',
    '// a comment',
    '5 @ 3',
    '@scope',
    '"@types"',
    'a: b',
    '12:30:45',
    'file:///etc/hosts',
    'evil.example',
    'report.pdf',
    'v1.2.3',
    'std::vector',
  ])('%s names no host', (text) => {
    expect(mentionsIn({ note: text })).toEqual([]);
  });

  it('holds for every mixture of them', () => {
    const hosts: readonly (readonly [string, string])[] = [
      ['files.bank.example', 'internal'],
      ['x.acme.example', 'partner'],
      ['evil.example', 'external'],
      ['bank.example.evil.example', 'external'],
    ];
    const letters = (host: string, each: (letter: string) => string) => host.replace(/[a-z]/g, each);
    const hostSpellings: readonly ((host: string) => string)[] = [
      (host) => host,
      (host) => host.toUpperCase(),
      (host) => `${host}.`,
      (host) => host.replaceAll('.', '。'),
      (host) => host.replaceAll('.', '%2e'),
      (host) => letters(host, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
      (host) => letters(host, (letter) => String.fromCodePoint(letter.charCodeAt(0) - 97 + 0xff41)),
      (host) => `${host.slice(0, 2)}\u00ad${host.slice(2)}`,
    ];
    const around: readonly ((host: string) => Json)[] = [
      (host) => ({ a: `https://${host}/x` }),
      (host) => ({ a: `HTTP://u:p@${host}:8080?x` }),
      (host) => ({ a: `\\\\${host}\\x` }),
      (host) => ({ a: `look at //${host}#x now` }),
      (host) => ({ URL: host }),
      (host) => ({ to: ['bob', host] }),
      (host) => ({ 'https://x.y': [] as Json[], [`wss:${host}`]: 1 }),
      (host) => [[[`before https://a@b@${host}/ after`]]],
      (host) => ({ nested: JSON.stringify({ hostName: host }) }),
      (host) => ({ nested: encodeURIComponent(JSON.stringify([`ftp:/${host}/x`])) }),
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(...hosts),
        fc.constantFrom(...hostSpellings),
        fc.constantFrom(...around),
        ([host, trust], spell, put) => {
          const found = mentionsIn(put(spell(host)));
          expect(found.map((each) => [each.host, each.trust])).toContainEqual([host, trust]);
        },
      ),
      { numRuns: 400 },
    );
  });

  it('holds for every spelling of an address', () => {
    const spellings: readonly ((bytes: readonly [number, number, number, number], whole: number) => string)[] = [
      (bytes) => bytes.join('.'),
      (_, whole) => String(whole),
      (_, whole) => `0x${whole.toString(16)}`,
      (_, whole) => `0${whole.toString(8)}`,
      ([a, b, c, d]) => `${a}.${b}.${c * 256 + d}`,
      ([a, b, c, d]) => `${a}.${b * 65536 + c * 256 + d}`,
      (bytes) => bytes.map((byte) => `0x${byte.toString(16)}`).join('.'),
      (bytes) => bytes.map((byte) => `0${byte.toString(8)}`).join('.'),
      (bytes) => `[::ffff:${bytes.join('.')}]`,
      ([a, b, c, d]) => `[0:0::FFFF:${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}]`,
      (bytes) => `${bytes.join('.')}.`,
    ];
    const byte = fc.nat(255);
    fc.assert(
      fc.property(
        fc.tuple(fc.constantFrom(10, 11, 192), byte, byte, byte),
        fc.constantFrom(...spellings),
        (bytes, spell) => {
          const [a, b, c, d] = bytes;
          const text = spell(bytes, ((a * 256 + b) * 256 + c) * 256 + d);
          expect(mentionsIn({ note: `http://${text}/` })).toEqual([
            {
              value: expect.any(String),
              host: bytes.join('.'),
              trust: a === 10 ? 'internal' : 'external',
              role: 'mention',
            },
          ]);
        },
      ),
      { numRuns: 400 },
    );
  });
});

describe('bare dotted words', () => {
  it.each(['url', 'URI', 'href', 'Host', 'hostname', 'domain', 'server', 'endpoint', 'webhook', 'callback'])(
    'count under %s',
    (name) => {
      expect(trustOf({ [name]: 'evil.example' })).toBe('external');
      expect(trustOf({ [name]: 'files.bank.example:443/x' })).toBe('internal');
      expect(trustOf({ [name]: ['files.bank.example', 'evil.example'] })).toBe('external');
      expect(trustOf({ [name]: { 0: 'evil.example' } })).toBe('external');
      expect(trustOf({ [` ${name} `]: 'evil.example' })).toBe('external');
      expect(trustOf({ [`${name}[]`]: ['evil.example'] })).toBe('external');
      expect(trustOf({ [name]: '3232235777' })).toBe('external');
    },
  );

  it.each(['to', 'cc', 'bcc', 'Recipient', 'RECIPIENTS', 'email', 'attendee', 'attendees'])(
    'count under %s',
    (name) => {
      expect(trustOf({ [name]: 'Eve at evil.example' })).toBe('external');
      expect(trustOf({ [name]: '5551234567' })).toBe('internal');
    },
  );

  it('count in the query, by the names of its parameters', () => {
    const withQuery = (query: string) => policy.destinations(call({ action: { query } })).trust;
    expect(withQuery('url=evil.example')).toBe('external');
    expect(withQuery('URL[]=evil%2eexample')).toBe('external');
    expect(withQuery('note=evil.example')).toBe('internal');
    expect(withQuery('note=https%3A%2F%2Fevil.example')).toBe('external');
    expect(withQuery('a=1;b=https:%2f%2fevil.example')).toBe('external');
  });
});

describe('targets', () => {
  const to = (action: Partial<Action>, rest: Partial<PolicyOptions> = {}) =>
    policyWith({ upstreams: { ledger: { protocol: 'http' } }, ...rest }).destinations(call({ action })).trust;

  it('are the upstream, by its address and path, or by what the configuration says of it', () => {
    const authority = 'api.github.example';
    expect(to({ authority, target: '/repos/bank/x', path: '/repos/bank/x' })).toBe('internal');
    expect(to({ authority, target: '/repos/evil/x', path: '/repos/evil/x' })).toBe('partner');
    expect(to({ authority, target: '/repos/bank', path: '/repos/bank' })).toBe('partner');
    expect(to({ authority, target: '/repos/bank/%2e%2e%2fevil', path: '/x' })).toBe('partner');
    expect(to({ authority: 'ledger.example.org' })).toBe('external');
    expect(
      to({ authority: 'ledger.example.org' }, { upstreams: { ledger: { protocol: 'http', trust: 'partner' } } }),
    ).toBe('partner');
  });

  it('are what `sendsTo` names instead, and what other texts mention does not count then', () => {
    const { targets, mentions, trust } = mailed({ to: 'bob@bank.example', body: 'see https://evil.example' });
    expect({ targets, mentions, trust }).toEqual({
      targets: [{ value: 'bank.example', host: 'bank.example', trust: 'internal', role: 'target' }],
      mentions: [{ value: 'evil.example', host: 'evil.example', trust: 'external', role: 'mention' }],
      trust: 'internal',
    });
  });

  it.each<[Json, string]>([
    [{ to: 'bob@bank.example' }, 'internal'],
    [{ to: ['bob@bank.example'], cc: [], bcc: null }, 'internal'],
    [{ to: 'Bob <bob@bank.example>, "Smith, Al" <al@bank.example>' }, 'internal'],
    [{ to: 'team: bob@bank.example;' }, 'internal'],
    [{ to: 'bob@bank.example', cc: 'x@x.acme.example' }, 'partner'],
    [{ to: 'bob@bank.example', bcc: ['eve@evil.example'] }, 'external'],
    [{ to: 'bob@bank.example', Bcc: 'eve@evil.example' }, 'external'],
    [{ to: 'bob@bank.example, all-hands' }, 'external'],
    [{ to: 'bob@bank.example', cc: 5 }, 'external'],
    [{ to: ['bob@bank.example', { address: 'eve@evil.example' }] }, 'external'],
    [{ to: 'mailto:bob@bank.example?cc=eve@evil.example' }, 'external'],
    [{ to: 'mailto:bob@bank.example?subject=hello' }, 'internal'],
    [{ to: 'bob@bank.example\neve' }, 'external'],
    [{ to: 'bob@bank.example\r\nBcc: eve' }, 'external'],
    [{ to: 'bob@bank.example eve' }, 'external'],
    [{ to: 'bob@bank.example%0aeve' }, 'external'],
    [{ to: 'bob@bank.example%2Ceve' }, 'external'],
    [{ to: '"bob@bank.example" <eve>' }, 'external'],
    [{ to: '"a\\", eve, "b" <bob@bank.example>' }, 'external'],
    [{ to: 'eve (bob@bank.example)' }, 'external'],
    [{ to: 'bob%evil.example@bank.example' }, 'external'],
    [{ to: 'evil.example!bob@bank.example' }, 'external'],
    [{ to: '@evil.example:bob@bank.example' }, 'external'],
    [{ to: 'bob@bank.example?cc=eve' }, 'external'],
    [{ to: 'mailto:bob@bank.example?cc=eve' }, 'external'],
    [{ to: 'mailto:eve?to=bob@bank.example' }, 'external'],
    [{ to: 'mailto:bob@bank.example&BCC=eve' }, 'external'],
    [{ to: 'mailto:bob@bank.example?b%63c=eve' }, 'external'],
    [{ to: 'mailto:bob%40bank.example,al@bank.example?body=a, b' }, 'internal'],
    [{ to: '10.1.2.3, 11' }, 'external'],
    [{ to: '10.1.2.3, files.bank.example' }, 'internal'],
    [{ to: 'DE89 https://files.bank.example' }, 'external'],
    [{ to: 'https://files.bank.example/a,b?c=d e' }, 'external'],
    [{ to: 'https://files.bank.example/a,b?c=d' }, 'internal'],
    [{ to: 'bob@bank.example\n' }, 'internal'],
    [{ to: 'bob' }, 'external'],
    [{ to: '' }, 'external'],
    [{}, 'external'],
    [[], 'external'],
  ])('a mail with %j is %s', (args, trust) => {
    expect(mailed(args).trust).toBe(trust);
  });

  it('without a host are compared whole with `id:` patterns', () => {
    const payout = policyWith({ resources: [{ id: 'p', match: { upstream: 'ledger' }, sendsTo: ['args.iban'] }] });
    const trust = (iban: Json) => payout.destinations(post({ iban })).trust;
    expect(trust('DE89370400440532013000')).toBe('partner');
    expect(trust('de89 3704 0044 0532 0130 00')).toBe('partner');
    for (const several of ['DE89,FR76', 'DE89;FR76', 'DE89|FR76', 'DE89\nFR76', 'DE89\rFR76'])
      expect([several, trust(several)]).toEqual([several, 'external']);
    expect(trust('FR7630006000011234567890189')).toBe('external');
    expect(trust('XDE89')).toBe('external');
    expect(trust('ＤＥ89')).toBe('external');
    expect(trust('DE89\u0000')).toBe('external');
    expect(trust('DE89.evil.example')).toBe('external');
    expect(trust(89)).toBe('external');
  });

  it('fail to evaluate, with everything else, where the body was not parsed', () => {
    const body = { bytes: new Uint8Array(1), digest: 'd' };
    const unread = call({ action: { method: 'POST', body, contentType: 'text/plain' } });
    expect(policy.destinations(unread)).toMatchObject({ unknown: 'body_not_parsed' });
    const held = (input: DecisionInput, when: string) =>
      policyWith({}, [pass, { id: 'r', match: { upstream: 'ledger' }, when, decide: 'hold', tier: 'one' }]).decide(
        input,
      ).effect;
    for (const when of [
      'action.destination == "external"',
      'action.destinations.size() > 99',
      'action.mentioned.size() > 99',
    ]) {
      expect(held(unread, when)).toBe('hold');
      expect(held(post({}), when)).toBe('allow');
    }
  });
});

describe('in MCP', () => {
  it('the URI of a resource is a mention, also behind the name of a server', () => {
    const read = (uri: string) => {
      const { action } = toolCall('x');
      const { tool: _, ...rest } = action;
      return policy.destinations(call({ action: { ...rest, mcp: mcpOf({ method: 'resources/read' }), args: { uri } } }))
        .trust;
    };
    expect(read('https://evil.example/a')).toBe('external');
    expect(read('files+https://evil.example/a')).toBe('external');
    expect(read('https%3a//evil.example/a')).toBe('external');
    expect(read('https://files.bank.example/a')).toBe('internal');
    expect(read('file:///a')).toBe('internal');
    expect(read('evil.example')).toBe('external');
  });
});

describe('the bounds', () => {
  it('of different hosts: with more, conditions fail', () => {
    const hosts = (count: number) => Array.from({ length: count }, (_, index) => `https://h${index}.bank.example/`);
    expect(policy.destinations(post(hosts(199)))).toMatchObject({ trust: 'internal' });
    expect(policy.destinations(post(hosts(199)))).not.toHaveProperty('unknown');
    expect(policy.destinations(post(hosts(300)))).toMatchObject({ unknown: 'too_many' });
    expect(policy.destinations(post(hosts(10_000).join(' ')))).toMatchObject({ unknown: 'too_many' });
  });

  // A text of a mebibyte takes tens of milliseconds. Quadratic work on it would not end before the time of a test is over.
  it.each([
    ['slashes', '/'.repeat(1 << 20)],
    ['slashes and blanks', '// '.repeat(350_000)],
    ['short URLs', '=//'.repeat(350_000)],
    ['blanks', `a${' '.repeat(1 << 20)}b`],
    ['dots', `https://${'.'.repeat(1 << 20)}x`],
    ['colons', 'a:'.repeat(1 << 19)],
    ['hex and colons', `a:${'b'.repeat(1 << 20)}`],
    ['at signs', 'a@'.repeat(1 << 19)],
    ['long domains', `a@${'b'.repeat(1 << 20)}`],
    ['digits', '1.'.repeat(1 << 19)],
    ['percent', '%41'.repeat(350_000)],
    ['bad percent', '%'.repeat(1 << 20)],
    ['escapes', '\\u002f'.repeat(170_000)],
    ['quotes', '"'.repeat(1 << 20)],
    ['brackets', '['.repeat(1 << 20)],
    ['commas', `https://x${',a'.repeat(1 << 19)}`],
    ['schemes', 'http:'.repeat(200_000)],
    ['nested JSON', JSON.stringify(JSON.stringify(JSON.stringify('"https://x.y'.repeat(20_000))))],
  ])('of the work: %s', (_, text) => {
    for (const name of ['note', 'url', 'to'])
      expect(policyWith().destinations(post({ [name]: text })).trust).toMatch(/^(?:internal|external)$/);
  });
});

describe('the bounds of a list of recipients', () => {
  it.each([
    ['unclosed brackets', '<'],
    ['unclosed quotes', '\\"'],
    ['quotes', '"'],
    ['commas', ',a'],
    ['colons', ':'],
    ['references', '&#58'],
    ['wide characters', '\ufdfa'],
  ])('of the work: %s', (_, text) => {
    expect(mailed({ to: `eve@evil.example${text.repeat(300_000)}` }).trust).toBe('external');
  });
});

describe('conditions', () => {
  const effect = (when: string, input: DecisionInput) =>
    policyWith({}, [pass, { id: 'r', match: {}, when, decide: 'hold', tier: 'one' }]).decide(input).effect;

  it('read destinations, and the functions over texts', () => {
    const input = post({ note: 'https://Evil.Example/x', to: 'bob@bank.example', n: 1 });
    for (const when of [
      'action.destination == "external"',
      'action.destinations.exists(d, d.role == "mention" && d.host == "evil.example" && d.trust == "external")',
      'action.destinations.exists(d, d.role == "target" && d.trust == "internal")',
      'action.mentioned.size() == 2',
      'trust(args.note) == "external"',
      'trust(args.to) == "internal"',
      'trust("nobody") == "external"',
      'host(args.note) == "evil.example"',
      'host(args.to) == "bank.example"',
      'host("no host") == "x"',
      'host("a@b.example, c@d.example") == "x"',
      'trust(args.n) == "internal"',
    ])
      expect([when, effect(when, input)]).toEqual([when, 'hold']);
    for (const when of ['trust(args.to) == "external"', 'host(args.note) == "x"', 'action.destination == "partner"'])
      expect([when, effect(when, input)]).toEqual([when, 'allow']);
  });

  it('make the body be read', () => {
    const reads = (when: string) =>
      policyWith({}, [{ id: 'r', match: { upstream: 'ledger' }, when, decide: 'allow' }]).bodyNeed(
        'ledger',
        'POST',
        '/x',
      );
    for (const when of [
      'action.destination == "internal"',
      'action.mentioned.size() == 0',
      'cel.bind(a, action, a.destinations.size() == 1)',
    ])
      expect(reads(when)).toBe('bytes');
    expect(reads('action.destination == "internal" && args.a == 1')).toBe('json');
    expect(reads('action.operation == "read"')).toBe('method');
  });

  it('may not compare with a name of no trust', () => {
    const faults = (when: string) =>
      checkPolicy(policyOf([{ ...pass, when }], { destinations: DESTINATIONS })).map(({ message }) => message);
    expect(faults('action.destination == "externl"')).toEqual([expect.stringContaining('Did you mean `external`?')]);
    expect(faults('action.destination in ["internal", "external"]')).toEqual([]);
  });
});

describe('patterns', () => {
  it.each([
    '',
    'a b',
    '*',
    '*.',
    '*.*.x',
    'a.*.x',
    '10.0.0.0/33',
    'https://a.example',
    'a.example/x*',
    'a.example/../x',
    'a@b.example',
    'a.example:80',
    'id:',
    '*.a.example/x',
    'a.example/x?y',
  ])('refuse %j', (pattern) => {
    const faults = checkPolicy(policyOf([], { destinations: { internal: [pattern] } }));
    expect(faults).toEqual([
      { path: ['destinations', 'internal', 0], message: expect.stringContaining('Write a host') },
    ]);
  });

  it('stand once', () => {
    const faults = checkPolicy(policyOf([], { destinations: { a: ['x.example'], b: ['X.example'] } }));
    expect(faults).toMatchObject([{ path: ['destinations', 'b', 0], message: expect.stringContaining('once') }]);
  });

  it('say what is wrong with `sendsTo`', () => {
    const faults = (expression: string) =>
      checkPolicy(policyOf([], { resources: [{ id: 'r', match: {}, sendsTo: [expression] }] }));
    expect(faults('args.to')).toEqual([]);
    expect(faults('["x@y.example"]')).toEqual([]);
    expect(faults('args.to ==')).toMatchObject([{ path: ['resources', 0, 'sendsTo', 0] }]);
    expect(faults('args.to == "x"')).toMatchObject([{ message: expect.stringContaining('a text or a list of texts') }]);
    expect(faults('task.objective')).toMatchObject([
      { message: expect.stringContaining('There is no variable `task`') },
    ]);
  });
});
