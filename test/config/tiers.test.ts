// Who decides in a tier, as the file says it. Kind: a tier of which an operator believes something else than it does.

import { describe, expect, it } from 'vitest';
import { parseConfig, warningsOf } from '../../src/config/load.ts';
import { faultsIn, withSections } from './files.ts';

const faults = (tier: string) => faultsIn(withSections({ tiers: `{ t: ${tier} }` }));
const warnings = (tier: string, more: Readonly<Record<string, string>> = {}) =>
  warningsOf(
    parseConfig(withSections({ tiers: `{ t: ${tier} }`, ...more }), '/nowhere/countersign.yaml', undefined, {}),
  ).map(({ path, message }) => `${path.join('.')}: ${message}`);

const ONE_FORM = 'Remove this key, or `require`: with `require`, each entry says who decides there.';

describe('a tier', () => {
  it.each([
    ['reviewers', 'reviewers: ["group:a"]'],
    ['count', 'count: 2'],
    ['escalate', 'escalate: { after: 1m, to: ["group:b"] }'],
  ])('has `require` or `%s`, not both', (key, text) => {
    expect(faults(`{ require: [{ from: owner }], ${text} }`)).toContain(`tiers.t.${key}: ${ONE_FORM}`);
  });

  it('says who decides', () => {
    expect(faults('{ decideWithin: 5m }')).toEqual([
      'tiers.t.reviewers: This key is required. Write a list, or write `require` in its place.',
    ]);
  });

  it.each([
    ['{ reviewers: [owner, "group:a"] }', 'tiers.t.reviewers'],
    ['{ require: [{ from: [owner, "group:a"] }] }', 'tiers.t.require.0.from'],
  ])('names owners alone: %s', (tier, place) => {
    expect(faults(tier)).toEqual([
      `${place}: Write \`owner\` alone. For owners and other people use \`require\`, with an entry for each.`,
    ]);
  });

  it('does not take `owner` where people are named: who is asked later is written out', () => {
    expect(faults('{ reviewers: ["group:a"], escalate: { after: 1m, to: [owner] } }')).toEqual([
      'tiers.t.escalate.to.0: Write group:<name> or user:<subject>.',
    ]);
  });

  it('checks each seat for itself', () => {
    expect(
      faults(
        '{ require: [{ from: "user:a", count: 2 }, { from: "group:b", escalate: { after: 15m, to: ["group:c"] } }], decideWithin: 15m }',
      ),
    ).toEqual([
      'tiers.t.require.0.count: Write 1 or less, or name more reviewers: 2 people must approve, but only 1 may vote.',
      'tiers.t.require.1.escalate.after: Write less than `decideWithin`, so that the people who are asked later have time to decide.',
    ]);
  });
});

describe('the time to decide', () => {
  const minutes = (tier: string) =>
    (parseConfig(withSections({ tiers: `{ t: ${tier} }` }), '/nowhere/c.yaml', undefined, {}).tiers.t?.decideWithinMs ??
      0) / 60_000;

  it.each([
    ['{ reviewers: ["group:a"] }', 15],
    ['{ reviewers: ["group:a"], escalate: { after: 14m, to: ["group:b"] } }', 15],
    ['{ reviewers: ["group:a"], escalate: { after: 15m, to: ["group:b"] } }', 30],
    ['{ require: [{ from: owner, escalate: { after: 30m, to: ["group:b"] } }, { from: "group:c" }] }', 45],
    ['{ reviewers: ["group:a"], decideWithin: 1h, escalate: { after: 30m, to: ["group:b"] } }', 60],
  ])('of %s lasts %i minutes', (tier, expected) => {
    expect(minutes(tier)).toBe(expected);
  });
});

describe('the proof that a tier asks for', () => {
  const signed = '{ reviewers: ["group:a"], assurance: { passkey: true } }';
  const login = '{ login: { issuer: https://idp.example.org, clientId: c } }';
  const passkeyWarnings = (more: Record<string, string>) =>
    warningsOf(parseConfig(withSections({ tiers: `{ t: ${signed} }`, ...more }), '/nowhere/c.yaml', undefined, {})).map(
      ({ path, message }) => `${path.join('.')}: ${message.split(':')[0]}`,
    );

  it.each([
    ['assurance.acr.0', '{ acr: ["phr phrh"] }', 'Write one acr, without blanks.'],
    ['assurance.maxAge', '{ maxAge: 30s }', 'Write a value from 1m to 24h.'],
    ['assurance.acr', '{ acr: [] }', 'Write at least one entry.'],
  ])('is checked: %s', (key, assurance, message) => {
    expect(faults(`{ reviewers: ["group:a"], assurance: ${assurance} }`)).toEqual([`tiers.t.${key}: ${message}`]);
  });

  it('is warned of where nobody can give it', () => {
    const place = 'tiers.t.assurance.passkey';
    expect(passkeyWarnings({})).toEqual([`${place}: Set \`reviewers.login\``]);
    const listeners = (url: string) =>
      `{ agents: { address: 127.0.0.1:0 }, reviewers: { address: 127.0.0.1:0${url} } }`;
    expect(passkeyWarnings({ reviewers: login, listeners: listeners('') })).toEqual([
      `${place}: Set \`listeners.reviewers.url\` with a host name`,
    ]);
    expect(passkeyWarnings({ reviewers: login, listeners: listeners(', url: "https://review.example.org"') })).toEqual(
      [],
    );
  });
});

describe('a tier whose acr never counts as recent', () => {
  const tier = (more: string) => `{ reviewers: ["group:a"], assurance: { acr: [phr]${more} } }`;
  const login = (acr: string) => ({
    reviewers: `{ login: { issuer: https://idp.example.org, clientId: c, stepUp: { acr: ${acr} } } }`,
    listeners: '{ agents: { address: 127.0.0.1:0 }, reviewers: { address: 127.0.0.1:0 } }',
  });

  it('is warned of', () => {
    expect(warnings(tier(', maxAge: 5m'), login('[phrh]'))).toEqual([
      expect.stringMatching(/^tiers\.t\.assurance\.acr: Add one of these to `reviewers\.login\.stepUp\.acr`/),
    ]);
    expect(warnings(tier(', maxAge: 5m'), login('[phrh, phr]'))).toEqual([]);
    expect(warnings(tier(', maxAge: 5m'), login('[]'))).toEqual([]);
    expect(warnings(tier(''), login('[phrh]'))).toEqual([]);
  });
});

describe('a tier that asks for owners', () => {
  const owned = { resources: '[{ id: r, match: { upstream: ledger }, owners: ["group:o"] }]' };
  const ALONE =
    'Set `escalate`: where the owners may not decide, or no matching resource names an owner, nobody else can, and ' +
    'the call is refused.';

  it('is warned of when nobody is asked after them', () => {
    expect(warnings('{ reviewers: [owner] }', owned)).toEqual([`tiers.t: ${ALONE}`]);
    expect(warnings('{ require: [{ from: "group:a" }, { from: owner }] }', owned)).toEqual([
      `tiers.t.require.1: ${ALONE}`,
    ]);
  });

  it('is warned of when nothing names an owner', () => {
    expect(warnings('{ reviewers: [owner] }')).toEqual([
      'tiers.t: Set `owners` on an entry of `resources`: none names any, so every call that this tier holds is refused.',
    ]);
  });

  it('is taken as it is with an escalation', () => {
    expect(warnings('{ reviewers: [owner], escalate: { after: 1m, to: ["group:duty"] } }')).toEqual([]);
  });
});
