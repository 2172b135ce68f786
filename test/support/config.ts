// The configuration that a test's gateway runs with, as an object: what the test gives, put over what every environment has.
// `rule` writes a rule in one line. The file is made of the object, so that a test never pastes YAML.

import type { ConfigInput } from '../../src/config/schema.ts';

export type Section<Name extends keyof ConfigInput> = NonNullable<ConfigInput[Name]>;
export type Rule = ConfigInput['rules'][number];
export type Rules = Rule[];
export type Upstream = Section<'upstreams'>[string];

type Listeners = Section<'listeners'>;
type Identity = Section<'identity'>;
type Issuer = Identity['issuers'][number];
type Reviewers = Section<'reviewers'>;

/**
 * Sections as the configuration file has them. `rules`, `tiers` and `limits` take the place of the environment's own;
 * members of the other sections stand beside those that the environment has.
 */
export interface GivenConfig extends Omit<Partial<ConfigInput>, 'listeners' | 'identity' | 'reviewers'> {
  /** Default: a free port of 127.0.0.1 for each. */
  listeners?: { [Plane in keyof Listeners]?: Partial<NonNullable<Listeners[Plane]>> };
  /** Its `issuers` come after `test`, which is the environment's own. */
  identity?: Partial<Identity>;
  /** Further members of the entry of the environment's own issuer. */
  testIssuer?: Partial<Extract<Issuer, { type: 'oidc' }>>;
  /** `api` has its members beside the address of the recording upstream and the credential `key`. */
  upstreams?: Record<string, Upstream>;
  /** `api` has its members beside the environment's own issuer, audience and client. */
  reviewers?: Partial<Omit<Reviewers, 'api'>> & { api?: Partial<NonNullable<Reviewers['api']>> };
}

/** What the environment has started. */
export interface Started {
  readonly issuer: string;
  /** Of the recording upstream. */
  readonly origin: string;
  readonly folder: string;
}

/** The whole configuration, as `edit` gives it to a test: sections that are always there are not optional. */
export type WholeConfig = ConfigInput & { upstreams: { api: Upstream } } & {
  [Name in 'credentials' | 'tiers' | 'limits' | 'reviewers']: Section<Name>;
};

export const GATEWAY_AUDIENCE = 'https://gateway.test';
export const REVIEW_AUDIENCE = 'countersign-review';

type Match = Rule['match'];
type More = Partial<Omit<Rule, 'id' | 'match' | 'decide'>>;

/** Rules in one line: `rule.allow('reads', { methods: ['GET'] })`. Without a match a rule is about every call. */
export const rule = {
  allow: (id: string, match: Match = {}, more: More = {}): Rule => ({ id, match, decide: 'allow', ...more }),
  deny: (id: string, match: Match = {}, more: More = {}): Rule => ({ id, match, decide: 'deny', ...more }),
  /** By the tier `payment`, unless `more` names another one. */
  hold: (id: string, match: Match = {}, more: More = {}): Rule => ({
    id,
    match,
    decide: 'hold',
    tier: 'payment',
    ...more,
  }),
};

/** Credentials that several tests have. */
export const credential = {
  /** A secret of the gateway's environment, as a Bearer token. */
  bearer: (env: string) =>
    ({ type: 'static', in: 'header', name: 'authorization', format: 'Bearer {secret}', secret: { env } }) as const,
  /** Tokens of this issuer for the client `gateway`, whose secret is MINT_SECRET: for paying at this resource. */
  clientCredentials: (issuer: string, resource: string) =>
    ({
      type: 'oauth-client-credentials',
      ...{ issuer, clientId: 'gateway', clientSecret: { env: 'MINT_SECRET' }, scope: 'pay', resource },
    }) as const,
  /** Sessions of a role at this STS, by the web identity token of WIT. */
  awsRole: (endpoint: string) =>
    ({
      type: 'aws-sts',
      ...{ roleArn: 'arn:aws:iam::123456789012:role/agents', webIdentityToken: { env: 'WIT' } },
      ...{ region: 'eu-central-1', service: 's3', endpoint },
    }) as const,
};

/** The rule of this id, to be changed in place. */
export function ruleOf({ rules }: Pick<ConfigInput, 'rules'>, id: string): Rule {
  const found = rules.find((one) => one.id === id);
  if (found === undefined) throw new Error(`no rule ${id}`);
  return found;
}

export function wholeConfig(given: GivenConfig, { issuer, origin }: Started): WholeConfig {
  const { listeners, identity, testIssuer, upstreams, credentials, tiers, limits, reviewers, ...rest } = given;
  const { api, ...others } = upstreams ?? {};
  return {
    listeners: {
      agents: { address: '127.0.0.1:0', ...listeners?.agents },
      reviewers: { address: '127.0.0.1:0', ...listeners?.reviewers },
      ops: { address: '127.0.0.1:0', ...listeners?.ops },
    },
    store: { type: 'sqlite', path: './data/store.db' },
    audit: { path: './data/audit' },
    identity: {
      audience: [GATEWAY_AUDIENCE],
      ...identity,
      issuers: [
        { name: 'test', type: 'oidc', issuer, algorithms: ['ES256'], ...testIssuer },
        ...(identity?.issuers ?? []),
      ],
    },
    upstreams: { api: { url: origin, credential: 'key', ...api }, ...others },
    credentials: {
      key: credential.bearer('E2E_SECRET'),
      ...credentials,
    },
    tiers: tiers ?? { payment: { reviewers: ['group:finance'], count: 1, decideWithin: '5m', useWithin: '2m' } },
    rules: [
      rule.allow('reads', { upstream: 'api', methods: ['GET'] }),
      rule.hold('transfers', { upstream: 'api', methods: ['POST'], path: '/transfers' }),
    ],
    limits: limits ?? { wait: '20s' },
    ...rest,
    reviewers: {
      ...reviewers,
      api: { issuer, audience: REVIEW_AUDIENCE, clients: ['countersign-cli'], ...reviewers?.api },
    },
  };
}

/** The smallest configuration that is valid, for tests that start no gateway. */
export const minimalConfig = (more: Partial<ConfigInput> = {}): ConfigInput => ({
  listeners: { agents: { address: '127.0.0.1:0' } },
  store: { type: 'sqlite', path: 'store.db' },
  audit: { path: 'audit' },
  identity: {
    audience: [GATEWAY_AUDIENCE],
    issuers: [{ name: 'corp', type: 'oidc', issuer: 'https://idp.example.org' }],
  },
  upstreams: { ledger: { url: 'https://ledger.example.org' } },
  rules: [],
  ...more,
});
