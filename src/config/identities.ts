// The sections about who is who: whose workload tokens are trusted, who owns an agent, and how reviewers prove
// themselves.

import { z } from 'zod';
import { issuer } from '../identity/issuers.ts';
import { algorithms, audience, personClaim } from '../identity/settings.ts';
import { taskIssuer } from '../identity/task-tokens.ts';
import { secureUrl } from '../settings/addresses.ts';
import { type ConfigContext, secret } from '../settings/paths-and-secrets.ts';
import { duration } from '../settings/units.ts';
import { people, name as personName } from './rules.ts';

export const identity = (around: ConfigContext) =>
  z
    .strictObject({
      audience: audience().describe('What a workload token must be addressed to'),
      issuers: z.array(issuer(around)).min(1).describe('Who vouches for agents'),
      taskIssuers: z
        .array(taskIssuer())
        .default([])
        .describe('Who vouches for tasks, by task tokens (draft-ietf-oauth-transaction-tokens); default nobody'),
      staleAfter: duration({ least: '10s', most: '24h' })
        .prefault('1h')
        .describe(
          'How long keys and bundles are believed after their source was last heard; then its callers are ' +
            'refused; default 1h',
        ),
      dpop: z
        .strictObject({
          nonce: z
            .boolean()
            .default(false)
            .describe('Whether proofs must hold a nonce of this process (RFC 9449 section 9); default false'),
        })
        .prefault({})
        .describe('How proofs of tokens’ keys are taken'),
      owners: z
        .record(z.string().min(1).pipe(personName()), z.array(personName()).min(1))
        .default({})
        .describe('Agent id → subjects of the people accountable for it; they may not decide on its calls'),
    })
    .transform(({ staleAfter, ...rest }) => ({ ...rest, staleAfterMs: staleAfter }));

const claim = () => z.string().min(1).max(200);
const groupsClaim = () =>
  claim()
    .default('groups')
    .describe('Claim that lists the reviewer’s groups, by name or path (realm_access.roles); default groups');
const nameClaim = () =>
  claim().default('name').describe('Claim with the reviewer’s name to show, by name or path; default name');

export const reviewers = (around: ConfigContext) =>
  z
    .strictObject({
      login: z
        .strictObject({
          issuer: secureUrl().describe('Where reviewers sign in'),
          clientId: z
            .string()
            .min(1)
            .describe('Client with the authorization code flow; its redirect URI is <url>/sign-in/callback'),
          clientSecret: secret(around).exactOptional().describe('Absent for a public client'),
          clientAuth: z
            .enum(['basic', 'post'])
            .default('basic')
            .describe('How the client proves itself at the token endpoint; default basic'),
          scope: z
            .string()
            .regex(/(^| )openid( |$)/, { error: 'openid must be one of the scopes.' })
            .default('openid profile')
            .describe('Scopes to ask for; default openid profile'),
          groupsClaim: groupsClaim(),
          displayClaim: nameClaim(),
          personClaim: personClaim(),
          acrValues: z
            .array(z.string().min(1))
            .default([])
            .describe('Asked for (acr_values) when a tier wants a fresh sign-in'),
          stepUp: z
            .strictObject({
              acr: z
                .array(z.string().min(1))
                .default([])
                .describe('A sign-in counts as step-up with one of these acr; empty: any'),
              amr: z.array(z.string().min(1)).default([]).describe('… and with one of these amr; empty: any'),
            })
            .prefault({})
            .describe('Which sign-ins are strong enough for tiers with stepUp'),
          idle: duration({ least: '1m', most: '12h' })
            .prefault('30m')
            .describe('How long a session lasts unused; default 30m'),
          life: duration({ least: '5m', most: '24h' })
            .prefault('8h')
            .describe('How long a session lasts at most; default 8h'),
        })
        .transform(({ idle, life, ...rest }) => ({ ...rest, idleMs: idle, lifeMs: life }))
        .exactOptional()
        .describe('Sign-in for the reviewers’ pages'),
      api: z
        .strictObject({
          issuer: secureUrl().describe('Whose bearer tokens are taken'),
          audience: z.string().min(1).describe('What they must be addressed to; another one than the agents’'),
          clients: z
            .array(z.string().min(1))
            .min(1)
            .exactOptional()
            .describe(
              'Clients through which people sign in (azp, client_id); tokens of others are refused. Required ' +
                'where agents’ tokens come from this issuer',
            ),
          groupsClaim: groupsClaim(),
          displayClaim: nameClaim(),
          personClaim: personClaim(),
          algorithms: algorithms(),
          requireAccessTokenType: z
            .boolean()
            .default(false)
            .describe('Take only tokens of RFC 9068 (typ at+jwt); default false'),
        })
        .exactOptional()
        .describe('Bearer tokens for the terminal and for scripts'),
      cli: z
        .strictObject({
          clientId: z.string().min(1).describe('Public client for the device flow (RFC 8628) at reviewers.api.issuer'),
          scope: z.string().min(1).default('openid').describe('Scopes that the terminal asks for; default openid'),
        })
        .exactOptional()
        .describe('Sign-in for `countersign holds`'),
      killSwitch: people().exactOptional().describe('Who may suspend agents and tasks, and lift it; default: nobody'),
      declassify: people()
        .exactOptional()
        .describe('Who may lift marks, after a fresh sign-in and with a reason; default: nobody'),
      watch: people()
        .exactOptional()
        .describe(
          'Who sees the calls that passed with notify, and may end their tasks; default: who has the kill switch',
        ),
      suspended: z
        .array(personName())
        .default([])
        .describe('Subjects whose votes no longer count, approvals that wait for use included'),
    })
    .prefault({});
