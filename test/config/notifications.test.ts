// The keys of the reviewers' console: channels and who names them, escalation, and the people with a switch.

import { describe, expect, it } from 'vitest';
import { faultsIn, withSections } from './files.ts';

const channels = (channel: string): string => withSections({ notifications: `{ channels: { soc: ${channel} } }` });
const desk = (sections: Record<string, string>): readonly string[] =>
  faultsIn(
    withSections({
      reviewers: '{ api: { issuer: https://idp.example.org, audience: review, clients: [cli] } }',
      ...sections,
    }),
  );

describe('a channel', () => {
  it.each([
    ['{ type: slack, token: { env: TOKEN }, channel: C1 }', []],
    ['{ type: slack, webhookUrl: { env: TOKEN } }', []],
    [
      '{ type: slack, webhookUrl: { env: TOKEN }, channel: C1 }',
      ['notifications.channels.soc: Set `webhookUrl` alone, or `token` and `channel`.'],
    ],
    [
      '{ type: slack, token: { env: TOKEN } }',
      ['notifications.channels.soc: Set `webhookUrl` alone, or `token` and `channel`.'],
    ],
    [
      '{ type: webhook, url: https://a.example, secret: { env: TOKEN } }',
      ['notifications.channels.soc.secret: Use a signing secret of `whsec_` and 24 to 64 random bytes in base64.'],
    ],
    [
      '{ type: webhook, url: http://a.example, secret: { env: MISSING } }',
      [
        'notifications.channels.soc.url: Plain http is accepted on loopback only: write https.',
        'notifications.channels.soc.secret: The environment variable MISSING is missing or empty.',
      ],
    ],
  ])('%s has the faults %j', (channel, faults) => {
    expect(faultsIn(channels(channel))).toEqual(faults);
  });

  it('must exist to be named by a tier, an allow rule, a deny rule or a limit', () => {
    expect(
      desk({
        tiers: '{ t: { reviewers: ["group:a"], notify: [nowhere] } }',
        rules:
          '[{ id: a, match: {}, decide: allow, notify: [nowhere] }, { id: d, match: {}, decide: deny, notify: [here] }]',
        violations: '[{ count: 5, within: 10m, of: deny, do: [notify: soc, notify: gone] }]',
        notifications: '{ channels: { soc: { type: slack, webhookUrl: { env: TOKEN } } } }',
      }),
    ).toEqual([
      'tiers.t.notify.0: There is no channel of this name. Channels: `soc`.',
      'rules.0.notify.0: There is no channel of this name. Channels: `soc`.',
      'rules.1.notify.0: There is no channel of this name. Channels: `soc`.',
      'violations.0.do: There is no channel of this name. Channels: `soc`.',
    ]);
  });
});

describe('escalation', () => {
  it('must leave time to decide', () => {
    expect(
      desk({ tiers: '{ t: { reviewers: ["group:a"], decideWithin: 5m, escalate: { after: 5m, to: ["group:b"] } } }' }),
    ).toEqual([
      'tiers.t.escalate.after: Write less than `decideWithin`, so that the people who are asked later have time to decide.',
    ]);
  });

  it('counts its people where they are named one by one', () => {
    const tier = (to: string) =>
      desk({ tiers: `{ t: { reviewers: ["user:a"], count: 2, escalate: { after: 1m, to: [${to}] } } }` });
    expect(tier('"user:b"')).toEqual([]);
    expect(tier('"user:a"')).toEqual([
      'tiers.t.count: Write 1 or less, or name more reviewers: 2 people must approve, but only 1 may vote.',
    ]);
  });
});
