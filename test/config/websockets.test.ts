// One approval of a WebSocket lets everything through it, so a rule that can hold one has to say so. Kind of fault: a
// hold that looks as if people saw each message.

import { describe, expect, it } from 'vitest';
import { faultsIn, withSections } from './files.ts';

const faults = (match: string, more = ''): readonly string[] =>
  faultsIn(
    withSections({
      upstreams: '{ live: { url: https://live.example, websocket: true }, plain: { url: https://plain.example } }',
      tiers: '{ t: { reviewers: ["group:a"] } }',
      reviewers: '{ api: { issuer: https://idp.example.org, audience: review, clients: [cli] } }',
      rules: `[{ id: a, match: { ${match} }, decide: hold, tier: t${more} }]`,
    }),
  );

describe('a hold rule that can hold the opening of a WebSocket', () => {
  it.each(['upstream: live', 'upstream: live, upgrade: true', '', 'methods: [GET, POST]', 'path: /x'])(
    'is one with match { %s }: it says wholeSession',
    (match) => {
      expect(faults(match)).toEqual([expect.stringMatching(/^rules\.0\.wholeSession: Write `wholeSession: true`/)]);
      expect(faults(match, ', wholeSession: true')).toEqual([]);
    },
  );

  it.each([
    'upstream: plain',
    'upstream: live, upgrade: false',
    'upstream: live, methods: [POST]',
    'upstream: plain, methods: [GET]',
  ])('is not one with match { %s }: it does not say so', (match) => {
    expect(faults(match)).toEqual([]);
    expect(faults(match, ', wholeSession: true')).toEqual([
      'rules.0.wholeSession: Remove `wholeSession`: this rule holds no opening of a WebSocket.',
    ]);
  });
});
