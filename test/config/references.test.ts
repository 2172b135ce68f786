// What one section of a configuration says of another: every name must be there, and every fault says what to write.

import { describe, expect, test } from 'vitest';
import { parseConfig, warningsOf } from '../../src/config/load.ts';
import { faultsIn, withSections } from './files.ts';

describe('references between sections', () => {
  const held = '{ id: h, match: { upstream: ledger }, decide: hold, tier: t }';
  const api = '{ api: { issuer: https://idp.example.org, audience: review, clients: [cli] } }';
  test.each<[string, Record<string, string>, string]>([
    [
      'an unknown tier',
      { rules: `[${held}]`, reviewers: api },
      'rules.0.tier: There is no tier of this name. Add one under `tiers`.',
    ],
    [
      'a name of Object.prototype as a tier',
      { rules: '[{ id: h, match: {}, decide: hold, tier: toString }]', reviewers: api },
      'rules.0.tier: There is no tier of this name. Add one under `tiers`.',
    ],
    // Kind: what calls tools and what votes come from one issuer, and nothing tells them apart.
    [
      'reviewers’ tokens of any client, of an issuer of agents',
      { reviewers: '{ api: { issuer: https://idp.example.org, audience: review } }' },
      'reviewers.api.clients: Set it to the clients through which people sign in, for example [countersign-cli]: agents’ tokens come from the same issuer (corp).',
    ],
    [
      'reviewers’ tokens of no client at all',
      { reviewers: '{ api: { issuer: https://other.example.org, audience: review, clients: [] } }' },
      'reviewers.api.clients: Write at least one entry.',
    ],
    [
      'a hold without a tier',
      { rules: '[{ id: h, match: {}, decide: hold }]', reviewers: api },
      'rules.0.tier: This key is required on a hold rule. Write the name of a tier under `tiers`.',
    ],
    [
      'a tier on an allow',
      { rules: '[{ id: h, match: {}, decide: allow, tier: t }]', tiers: '{ t: { reviewers: ["group:a"] } }' },
      'rules.0.tier: Remove `tier`, or write `decide: hold`: only a hold rule has a tier.',
    ],
    [
      'a hold that nobody could decide',
      { rules: `[${held}]`, tiers: '{ t: { reviewers: ["group:a"] } }' },
      'rules.0.decide: No reviewer can sign in: set `reviewers.login` or `reviewers.api`.',
    ],
    [
      'the same id twice',
      { rules: '[{ id: a, match: {}, decide: allow }, { id: a, match: {}, decide: deny }]' },
      'rules.1.id: Write another id: rules[0] has this one already.',
    ],
    [
      'an unknown credential',
      { upstreams: '{ a: { url: https://a.example, credential: c } }' },
      'upstreams.a.credential: There is no credential of this name. Add one under `credentials`.',
    ],
    [
      'narrowing nothing',
      { rules: '[{ id: a, match: { upstream: ledger }, decide: allow, credential: { scope: x } }]' },
      'rules.0.credential: Set `credential` on the upstream, or remove it here: the upstream has no credential to narrow.',
    ],
    [
      'a tool on an http upstream',
      { rules: '[{ id: a, match: { upstream: ledger, tool: x }, decide: allow }]' },
      'rules.0.match.tool: Remove `tool`, or set `protocol: mcp` on the upstream: this one does not speak MCP.',
    ],
    [
      'more approvals than people',
      { tiers: '{ t: { reviewers: ["user:a", "user:a", "user:b"], count: 3 } }' },
      'tiers.t.count: Write 2 or less, or name more reviewers: 3 people must approve, but only 2 may vote.',
    ],
    [
      'an upstream called countersign',
      { upstreams: '{ countersign: { url: https://a.example } }' },
      'upstreams.countersign: Choose another name: `countersign` is the gateway’s own.',
    ],
    [
      'an upstream with an odd name',
      { upstreams: '{ A_b: { url: https://a.example } }' },
      'upstreams.A_b: Use lower-case letters, digits and hyphens in the name of an upstream.',
    ],
    [
      'plain http to elsewhere',
      { upstreams: '{ a: { url: http://ledger.internal } }' },
      'upstreams.a.url: Write https, or set `allowPlaintext: true`: plain http carries calls and credentials in the open.',
    ],
    [
      'a metadata address',
      { upstreams: '{ a: { url: https://169.254.169.254 } }' },
      'upstreams.a.url: Set `allowPrivateAddresses: true`: this is an unspecified or link-local address.',
    ],
    [
      'a metadata address in disguise',
      { upstreams: '{ a: { url: "https://0xA9FEA9FE/" } }' },
      'upstreams.a.url: Set `allowPrivateAddresses: true`: this is an unspecified or link-local address.',
    ],
    [
      'one issuer twice',
      {
        identity:
          '{ audience: [a], issuers: [{ name: a, type: oidc, issuer: https://i.example }, { name: b, type: oidc, issuer: https://i.example }] }',
      },
      'identity.issuers.1.issuer: Write another `issuer`: an issuer above has this one already.',
    ],
    [
      'one audience for agents and reviewers',
      { reviewers: '{ api: { issuer: https://i.example, audience: https://gateway.example.org } }' },
      'reviewers.api.audience: Write another audience: tokens of agents have this one, and reviewers need one of their own.',
    ],
    [
      'two ways to the token endpoint',
      {
        credentials:
          '{ a: { type: token-exchange, issuer: https://i.example, tokenEndpoint: https://i.example/t, clientId: x, clientSecret: { env: TOKEN } } }',
      },
      'credentials.a.issuer: Set either issuer or tokenEndpoint.',
    ],
    [
      'revocation with nowhere to go',
      {
        credentials:
          '{ a: { type: oauth-client-credentials, tokenEndpoint: https://i.example/t, clientId: x, clientSecret: { env: TOKEN } } }',
      },
      'credentials.a.revoke: Set revocationEndpoint, or write revoke: false.',
    ],
  ])('%s', (_, sections, fault) => {
    expect(faultsIn(withSections(sections))).toContain(fault);
  });

  test.each([
    'Host',
    'content-length',
    'Transfer-Encoding',
    'connection',
    'upgrade',
    'te',
    'trailer',
    'keep-alive',
    'Proxy-Authorization',
    'expect',
    'Countersign-Hold',
    'x_y',
    'a b',
  ])('a credential cannot be put into %s', (name) => {
    expect(
      faultsIn(
        withSections({ credentials: `{ a: { type: static, in: header, name: "${name}", secret: { env: TOKEN } } }` }),
      ),
    ).toHaveLength(1);
  });

  test('plain http is accepted on loopback, or when asked for', () => {
    const text = withSections({
      upstreams:
        '{ a: { url: "http://127.0.0.1:3001/mcp" }, b: { url: "http://[::1]:1" }, c: { url: http://x.internal, allowPlaintext: true }, d: { url: http://localhost:1 } }',
    });
    expect(faultsIn(text)).toEqual([]);
  });

  // Kind: the two sides compare different things, and nobody is ever the same person.
  test.each([
    ['none at all', {}, '{ issuer: https://idp.example.org, audience: review, clients: [cli] }', []],
    [
      'one and the same',
      { oidc: 'oid' },
      '{ issuer: https://idp.example.org, audience: review, clients: [cli], personClaim: oid }',
      [],
    ],
    [
      'one on the side of agents alone',
      { oidc: 'oid' },
      '{ issuer: https://idp.example.org, audience: review, clients: [cli] }',
      ['reviewers.api names people by no claim, and corp by `oid`.'],
    ],
    [
      'two',
      { oidc: 'oid' },
      '{ issuer: https://idp.example.org, audience: review, clients: [cli], personClaim: email }',
      ['reviewers.api names people by `email`, and corp by `oid`.'],
    ],
  ] as const)('claims that name people: %s', (_, { oidc }: { oidc?: string }, api, expected) => {
    const claim = oidc === undefined ? '' : `, personClaim: ${oidc}`;
    const text = withSections({
      identity: `{ audience: [https://gateway.example.org], issuers: [{ name: corp, type: oidc, issuer: https://idp.example.org${claim} }] }`,
      reviewers: `{ api: ${api} }`,
    });
    const warnings = warningsOf(parseConfig(text, '/nowhere/countersign.yaml'));
    expect(warnings.map(({ message }) => message.slice(0, message.indexOf(' Where')))).toEqual(expected);
    expect(warnings.every(({ path }) => path.join('.') === 'reviewers.api.personClaim')).toBe(true);
  });
});
