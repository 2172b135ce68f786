// A configuration file as it is read: what a valid one becomes, and how every fault is told, with its line and what to
// write instead.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { configJsonSchemaText } from '../../src/config/json-schema.ts';
import { loadConfig, parseConfig, warningsOf } from '../../src/config/load.ts';
import { checkPolicy } from '../../src/policy/check.ts';
import { compilePolicy } from '../../src/policy/policy.ts';
import { ConfigError, formatFaults } from '../../src/settings/faults.ts';
import { faultsIn, locatedFaultsIn, MINIMAL, makeFolder, withSections, writeConfig } from './files.ts';

const parse = (text: string) =>
  parseConfig(text, '/etc/countersign/countersign.yaml', undefined, { TOKEN: 'secret-text' });

describe('a valid file', () => {
  test('gets defaults, with units in names', () => {
    const config = parse(MINIMAL);
    expect(config.limits).toEqual({
      heldBodyBytes: 1_048_576,
      inspectedBodyBytes: 1_048_576,
      headerBytes: 16_384,
      waitMs: 50_000,
      pendingPerAgent: 10,
      holdsPerHourPerAgent: 600,
      openTasksPerAgent: 1_000,
      storedBytesPerAgent: 268_435_456,
      drainMs: 10_000,
    });
    expect(parse(withSections({ limits: '{ pendingPerAgent: 500 }' })).limits.holdsPerHourPerAgent).toBe(30_000);
    expect(config.retention).toEqual({ holdsMs: 7_776_000_000, bodiesMs: 2_592_000_000, tasksMs: 7_776_000_000 });
    expect(config.listeners).toMatchObject({
      agents: { address: { host: '127.0.0.1', port: 0 } },
      ops: { address: { host: '127.0.0.1', port: 8082 } },
    });
    expect(config.upstreams.ledger).toMatchObject({
      protocol: 'http',
      websocket: false,
      timeouts: { connectMs: 5000, headersMs: 60_000, idleMs: 300_000 },
    });
    expect(config.identity.issuers[0]).toMatchObject({ maxLifetimeMs: 86_400_000 });
  });

  test('reads amounts with their units', () => {
    const config = parse(
      withSections({
        tiers:
          '{ a: { reviewers: ["user:x"], decideWithin: 90s, useWithin: 1h }, b: { reviewers: ["group:x"], decideWithin: 15m, useWithin: 1s } }',
        limits: '{ wait: 500ms, header: 2KiB, heldBody: 2MiB }',
      }),
    );
    expect([config.tiers.a?.decideWithinMs, config.tiers.a?.useWithinMs, config.tiers.b?.decideWithinMs]).toEqual([
      90_000, 3_600_000, 900_000,
    ]);
    expect(config.limits).toMatchObject({ waitMs: 500, headerBytes: 2048, heldBodyBytes: 2_097_152 });
  });

  test('is frozen all the way down', () => {
    const config = parse(withSections({ rules: '[{ id: a, match: { methods: [GET] }, decide: allow }]' }));
    for (const part of [
      config,
      config.limits,
      config.rules,
      config.rules[0]?.match.methods,
      config.identity.issuers[0],
    ])
      expect(Object.isFrozen(part)).toBe(true);
  });

  test('finds paths from its own folder', () => {
    expect(parse(MINIMAL)).toMatchObject({
      store: { path: '/etc/countersign/data/countersign.db' },
      audit: { path: '/etc/countersign/data/audit' },
    });
  });

  test('compares header names in lower case', () => {
    expect(
      parse(withSections({ upstreams: '{ a: { url: https://a.example, boundHeaders: [Content-Language] } }' }))
        .upstreams.a?.boundHeaders,
    ).toEqual(['content-language']);
  });
});

describe('secrets', () => {
  const credential = (secret: string) =>
    withSections({ credentials: `{ key: { type: static, in: header, name: authorization, secret: ${secret} } }` });
  const sourceOf = (config: Awaited<ReturnType<typeof loadConfig>>) => {
    const key = config.credentials.key;
    if (key?.type !== 'static') throw new Error('no static credential');
    return key.secret;
  };

  test('come from the environment and are not to be seen in the configuration', () => {
    const config = parse(credential('{ env: TOKEN }'));
    expect(sourceOf(config).read().reveal()).toBe('secret-text');
    expect(inspect(config, { depth: 20 }) + JSON.stringify(config)).not.toContain('secret-text');
  });

  test('a file is read anew at each use, without its last line end', async () => {
    const path = writeConfig(credential('{ file: ./key }'));
    const file = join(path, '..', 'key');
    writeFileSync(file, 'one\n');
    const source = sourceOf(await loadConfig(path));
    expect(source.read().reveal()).toBe('one');
    writeFileSync(file, 'two');
    expect(source.read().reveal()).toBe('two');
    writeFileSync(file, '');
    expect(() => source.read()).toThrow(expect.objectContaining({ code: 'credential_unavailable' }));
  });

  test.each([
    ['hunter2', 'Write `{ env: NAME }` or `{ file: PATH }`: a secret never stands in this file.'],
    ['{ env: MISSING }', 'The environment variable MISSING is missing or empty.'],
    ['{ file: ./missing }', 'The secret file /nowhere/missing is missing or empty.'],
    ['{ env: A, file: B }', 'Write `{ env: NAME }` or `{ file: PATH }`: a secret never stands in this file.'],
  ])('%s is refused, and never repeated', (secret, message) => {
    const faults = faultsIn(credential(secret));
    expect(faults).toEqual([`credentials.key.secret: ${message}`]);
    expect(faults.join()).not.toContain('hunter2');
  });
});

describe('faults', () => {
  const many = withSections({
    limits: '{ wait: 50, heldBody: 1MB }',
    tiers: '{ a: { reviewers: [bob] } }',
    extra: '1',
    rules:
      '[{ id: a, match: { upstream: nope }, decide: allow, tier: b }, { id: a, match: {}, decide: maybe }, { id: c, match: { path: "/:x/:x" }, when: "foo == 1", decide: deny }]',
  });

  test('are reported all at once: shape, references and policy', () => {
    expect(faultsIn(many, checkPolicy).toSorted()).toEqual(
      [
        'limits.wait: Write a duration with its unit, like 500ms, 90s, 15m or 1h.',
        'limits.heldBody: Write a size with its unit, like 16KiB or 1MiB.',
        'tiers.a.reviewers.0: Write group:<name>, user:<subject> or owner.',
        'extra: There is no such key here. Keys: `listeners`, `store`, `audit`, `identity`, `upstreams`, `credentials`, `signing`, `tiers`, `sensitivity`, `unclassified`, `destinations`, `taints`, `resources`, `meters`, `noveltyWindow`, `tellFacts`, `rules`, `violations`, `notifications`, `reviewers`, `limits`, `retention`.',
        'rules.0.tier: Remove `tier`, or write `decide: hold`: only a hold rule has a tier.',
        'rules.0.match.upstream: There is no upstream of this name. Upstreams: `ledger`.',
        'rules.1.decide: Write `allow`, `hold` or `deny`.',
        'rules.2.match.path: Write a URLPattern pathname, like `/accounts/:id`: check its groups, and use each parameter name only once.',
        'rules.2.when: There is no variable `foo` (at character 1). Variables: `agent`, `request`, `tool`, `args`, `hints`, `action`, `task`, `tainted`, `taintedBy`, `meter`, `novel`, `approval`, `now`.',
      ].sort(),
    );
  });

  test('stand with file, line, column and path, in the order of the file', async () => {
    const path = writeConfig(`${MINIMAL}tiers:\n  a:\n    reviewers: [bob]\n    cuont: 2\n`);
    const error = await loadConfig(path).catch((thrown: unknown) => thrown);
    if (!(error instanceof ConfigError)) throw error;
    expect(formatFaults(error).split('\n')).toEqual([
      `${path}:11:17 tiers.a.reviewers[0]: Write group:<name>, user:<subject> or owner.`,
      `${path}:12:5 tiers.a.cuont: There is no such key here. Did you mean \`count\`?`,
    ]);
  });

  test.each<[string, Record<string, string>, readonly string[]]>([
    [
      'a key',
      { limits: '{ pendingPerAgnet: 5 }' },
      [
        'limits.pendingPerAgnet: There is no such key here. Did you mean `pendingPerAgent`? Keys: `heldBody`, `inspectedBody`, `header`, `wait`, `callsPerAgent`, `pendingPerAgent`, `holdsPerHourPerAgent`, `openTasksPerAgent`, `storedPerAgent`, `drain`.',
      ],
    ],
    [
      'a type',
      { store: '{ type: sqlit, path: ./x }' },
      ['store.type: There is no such `type`. Did you mean `sqlite`? Write one of: `sqlite`.'],
    ],
    [
      'an upstream',
      { rules: '[{ id: a, match: { upstream: legder }, decide: allow }]' },
      ['rules.0.match.upstream: There is no upstream of this name. Did you mean `ledger`? Upstreams: `ledger`.'],
    ],
    [
      'a member of a variable',
      { rules: '[{ id: a, match: {}, decide: allow, when: \'agent.spifeId == ""\' }]' },
      [
        'rules.0.when: `agent` has no member `spifeId` (at character 7). Did you mean `spiffeId`? Members: `id`, `spiffeId`, `trustDomain`, `issuer`, `claims`, `onBehalfOf`.',
      ],
    ],
    [
      'a function',
      { rules: '[{ id: a, match: {}, decide: allow, when: \'tool.startswith("a")\' }]' },
      ['rules.0.when: There is no function `startswith` (at character 1). Did you mean `startsWith`?'],
    ],
    [
      'a path parameter',
      {
        upstreams: '{ ledger: { url: https://a.example, credential: key } }',
        credentials: '{ key: { type: static, in: header, secret: { env: TOKEN } } }',
        rules:
          '[{ id: a, match: { upstream: ledger, path: "/:account" }, decide: allow, credential: { x: "{acount}" } }]',
      },
      ['rules.0.credential: The path has no parameter `acount`. Did you mean `account`? Parameters: `account`.'],
    ],
  ])('a misspelt name of %s is answered with the names that there are', (_, sections, faults) => {
    expect(faultsIn(withSections(sections), checkPolicy)).toEqual(faults);
  });

  test('a secret in the place of a name is not repeated', () => {
    const faults = faultsIn(
      withSections({
        upstreams: '{ a: { url: https://a.example, credential: sk-hunter2 } }',
        credentials: '{ hunter: { type: sk-hunter2 }, key: { type: static, in: sk-hunter2 } }',
      }),
    );
    expect(faults).toHaveLength(3);
    expect(faults.join()).not.toContain('hunter2');
  });

  test('a missing key is placed at what should hold it', () => {
    expect(locatedFaultsIn(`${MINIMAL}tiers:\n  a:\n    count: 2\n`)).toEqual([
      {
        path: ['tiers', 'a', 'reviewers'],
        message: 'This key is required. Write a list, or write `require` in its place.',
        line: 10,
        column: 3,
      },
    ]);
  });

  test.each([
    ['', [': Write a map of keys.']],
    ['a: [', [/not well-formed YAML/]],
    [`${MINIMAL}rules: []\n`, [/not well-formed YAML/]],
    [`${MINIMAL}---\na: 1\n`, [/not well-formed YAML/]],
    [`${MINIMAL}tiers: { __proto__: { reviewers: [user:a] } }\n`, [/__proto__/]],
    [`${MINIMAL}tiers: *nope\n`, [/YAML|aliases/]],
  ])('%j is refused', (text, expected) => {
    expect(faultsIn(text)).toEqual(
      expected.map((part) => (typeof part === 'string' ? part : expect.stringMatching(part))),
    );
  });

  test('a file that is not there is a fault of its own', async () => {
    await expect(loadConfig('/nowhere/at/all.yaml')).rejects.toMatchObject({
      faults: [{ message: 'The file cannot be read (ENOENT).' }],
    });
  });
});

describe('what the contract names and this version does not build is refused by name', () => {
  const later = '`postgres` is not supported in this version.';
  test.each([['store', '{ type: postgres, url: { env: TOKEN } }', `store.type: Write another type: ${later}`]])(
    '%s: %s',
    (section, value, fault) => {
      expect(faultsIn(withSections({ [section]: value }))).toContain(fault);
    },
  );
});

describe('where a trust domain’s bundle comes from', () => {
  const issuer = (bundle: string) =>
    withSections({
      identity: `{ audience: [a], issuers: [{ name: p, type: spiffe, trustDomain: p.example, bundle: ${bundle} }] }`,
    });
  const at = 'identity.issuers.0.bundle';
  const oneWay = `${at}: Write one source: \`{ file: PATH }\`, \`{ workloadApi: ADDRESS }\` or \`{ endpoint: URL, profile: … }\`.`;

  test.each([
    '{ workloadApi: "unix:///run/spire/agent.sock" }',
    '{ workloadApi: "tcp://127.0.0.1:8081" }',
    '{ workloadApi: "tcp://[::1]:8081" }',
    '{ endpoint: "https://bundles.example.org/p", profile: https_web }',
  ])('%s is taken', (bundle) => {
    expect(faultsIn(issuer(bundle))).toEqual([]);
  });

  test.each([
    ['{}', oneWay],
    ['{ workloadApi: "unix:///x", endpoint: "https://x", profile: https_web }', oneWay],
    ['{ workloadApi: "/run/agent.sock" }', `${at}.workloadApi: Write unix:///path or tcp://ip:port.`],
    ['{ workloadApi: "tcp://agent:8081" }', `${at}.workloadApi: Write unix:///path or tcp://ip:port.`],
    [
      '{ endpoint: "http://127.0.0.1/x", profile: https_web }',
      `${at}.endpoint: Write an https URL: a bundle endpoint is reached by https only.`,
    ],
    [
      '{ endpoint: "https://x" }',
      `${at}.profile: This key is required with \`endpoint\`. Write \`https_web\` or \`https_spiffe\`.`,
    ],
    [
      '{ endpoint: "https://x", profile: https_spiffe }',
      `${at}.spiffeId: This key is required with \`https_spiffe\`. Write the SPIFFE ID that the endpoint must have.`,
    ],
    [
      '{ endpoint: "https://x", profile: https_web, spiffeId: "spiffe://p.example/x" }',
      `${at}.profile: Write \`https_spiffe\`, or remove \`spiffeId\` and \`bootstrap\`.`,
    ],
    [
      '{ workloadApi: "unix:///x", profile: https_web }',
      `${at}: Remove \`profile\`, \`spiffeId\` and \`bootstrap\`: they belong to an \`endpoint\`.`,
    ],
    [
      '{ endpoint: "https://x", profile: https_spiffe, spiffeId: "spiffe://p.example/x" }',
      `${at}.bootstrap: Set \`bootstrap\` to a file with the first bundle: no other issuer has the trust domain of the endpoint.`,
    ],
  ])('%s is refused', (bundle, fault) => {
    expect(faultsIn(issuer(bundle))).toContain(fault);
  });
});

// Kind: a name that can match nobody, or looks like another one.
describe('names of people', () => {
  const spelling = 'Write the name with visible characters only (Unicode NFC), and with single blanks between words.';
  test.each<[string, string]>([
    ['tiers.t.reviewers.0', '{ t: { reviewers: ["user:alice\\u200b"] } }'],
    ['tiers.t.reviewers.0', '{ t: { reviewers: ["group:finance "] } }'],
    ['tiers.t.reviewers.0', '{ t: { reviewers: ["group:fin\\u00adance"] } }'],
    ['tiers.t.escalate.to.0', '{ t: { reviewers: ["group:a"], escalate: { after: 1s, to: ["user:\\u2066bob"] } } }'],
  ])('%s of %s is a fault', (at, tiers) => {
    expect(faultsIn(withSections({ tiers }))).toContain(`${at}: ${spelling}`);
  });

  test('are faults for the suspended, owners and the kill switch, too', () => {
    const api = 'api: { issuer: https://other.example.org, audience: review }';
    const reviewers = `{ ${api}, suspended: ["mallory\\u200d"], killSwitch: ["user: bob"], watch: ["group:soc\\ufeff"] }`;
    const identity =
      '{ audience: [a], issuers: [{ name: p, type: oidc, issuer: https://i.example }], owners: { "agent\\u200b": ["alice\\u2060"] } }';
    const faults = faultsIn(withSections({ reviewers, identity }));
    for (const at of ['reviewers.suspended.0', 'reviewers.watch.0', 'identity.owners.agent\u200b'])
      expect(faults).toContain(`${at}: ${spelling}`);
  });

  test('are taken as issuers write them', () => {
    expect(
      faultsIn(
        withSections({ tiers: '{ t: { reviewers: ["group:/finance/leads", "user:Zoë Ångström", "user:a|b"] } }' }),
      ),
    ).toEqual([]);
  });
});

describe('the files that come with the project', () => {
  const root = join(import.meta.dirname, '../..');

  test('config/production.yaml is valid once its files are there, and warns of nothing', async () => {
    const folder = makeFolder();
    for (const name of ['tls', 'bundles', 'secrets']) mkdirSync(join(folder, name));
    for (const name of [
      'tls/gateway.pem',
      'tls/gateway.key',
      'tls/review.pem',
      'tls/review.key',
      'bundles/prod.json',
      'secrets/reports-key',
    ]) {
      writeFileSync(join(folder, name), '-----BEGIN TEST-----\n');
    }
    const path = join(folder, 'production.yaml');
    const config = parseConfig(readFileSync(join(root, 'config/production.yaml'), 'utf8'), path, checkPolicy, {
      LEDGER_CLIENT_SECRET: 'x',
      SLACK_TOKEN: 'x',
      SOC_WEBHOOK_SECRET: `whsec_${Buffer.alloc(32).toString('base64')}`,
    });
    expect(warningsOf(config)).toEqual([]);
    expect(compilePolicy(config).bodyNeed('ledger', 'POST', '/transfers')).toBe('json');
  });

  test('config/countersign.schema.json is what `npm run schema` writes', () => {
    expect(readFileSync(join(root, 'config/countersign.schema.json'), 'utf8')).toBe(configJsonSchemaText());
  });
});
