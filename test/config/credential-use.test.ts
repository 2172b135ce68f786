// Warnings where a credential opens more than the call that it is for. Kind of fault: an approval that looks narrow in
// front of a secret that is not.

import { describe, expect, it } from 'vitest';
import { parseConfig, warningsOf } from '../../src/config/load.ts';
import { withSections } from './files.ts';

const OAUTH = '{ type: oauth-client-credentials, issuer: https://idp.example, clientId: gw, clientAuth: none }';
const STATIC = '{ type: static, in: header, secret: { env: TOKEN } }';

function warnings(rule: string, credential = OAUTH, more: Record<string, string> = {}): readonly string[] {
  const text = withSections({
    upstreams: '{ ledger: { url: https://ledger.example, credential: key } }',
    credentials: `{ key: ${credential} }`,
    tiers: '{ t: { reviewers: ["group:a"] } }',
    reviewers: '{ api: { issuer: https://idp.example.org, audience: review, clients: [cli] } }',
    rules: `[{ id: a, ${rule} }]`,
    ...more,
  });
  const found = warningsOf(parseConfig(text, '/etc/countersign.yaml', undefined, { TOKEN: 'secret' }));
  return found.map(({ path, message }) => `${path.join('.')}: ${message.slice(0, 45)}`);
}
const SHARED = ['rules.0.mint: Add `mint: perCall`: the rule allows calls th'];
const FIXED = ['rules.0.tier: Use a credential that is made for each call: '];

describe('a shared credential', () => {
  it.each([
    ['for changes', 'match: { methods: [GET, POST] }, decide: allow', SHARED],
    ['for every method', 'match: { path: /x }, decide: allow', SHARED],
    ['for reads', 'match: { methods: [GET, HEAD] }, decide: allow', []],
    ['that is made for each call', 'match: { methods: [POST] }, decide: allow, mint: perCall', []],
    ['that a hold rule never shares', 'match: { methods: [POST] }, decide: hold, tier: t', []],
  ])('%s', (_, rule, wanted) => {
    expect(warnings(rule)).toEqual(wanted);
  });

  it('is judged by what a resource says of the same calls', () => {
    const resources = (operation: string) => ({
      resources: `[{ id: r, match: { upstream: ledger, path: /x }, operation: ${operation} }]`,
    });
    const rule = (method: string) => `match: { upstream: ledger, methods: [${method}], path: /x }, decide: allow`;
    expect(warnings(rule('POST'), OAUTH, resources('read'))).toEqual([]);
    expect(warnings(rule('GET'), OAUTH, resources('export'))).toEqual(SHARED);
  });
});

it('a fixed secret behind a hold rule narrows nothing, and a rule for another upstream is not meant', () => {
  expect(warnings('match: { methods: [POST] }, decide: hold, tier: t', STATIC)).toEqual(FIXED);
  const upstreams = '{ ledger: { url: https://ledger.example, credential: key }, other: { url: https://o.example } }';
  expect(warnings('match: { upstream: other }, decide: hold, tier: t', STATIC, { upstreams })).toEqual([]);
});
