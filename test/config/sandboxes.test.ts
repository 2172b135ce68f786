// `environment: sandbox` is tested, and exemptions that are none are told. Kind of fault: a sandbox that is the same
// system, or opens it, under another name.

import { describe, expect, it } from 'vitest';
import { parseConfig, warningsOf } from '../../src/config/load.ts';
import { faultsIn, withSections } from './files.ts';

const PROD = 'url: https://api.example';
const SANDBOX = 'environment: sandbox';
const faults = (prod: string, sandbox: string, credentials = '{}'): readonly string[] =>
  faultsIn(withSections({ upstreams: `{ prod: { ${prod} }, sand: { ${sandbox}, ${SANDBOX} } }`, credentials }));
const told = (what: string): string[] => [
  `upstreams.sand.environment: Give the sandbox ${what} of its own: \`upstreams.prod\`, which is no sandbox, has the same. Or remove \`environment: sandbox\`.`,
];

describe('a sandbox', () => {
  it('has nothing in common with what is none', () => {
    expect(faults(PROD, 'url: https://sand.example')).toEqual([]);
  });

  it.each([
    [PROD, 'url: https://api.example'],
    [PROD, 'url: https://API.example:443/sandbox'],
    [PROD, 'url: https://api.example./x'],
  ])('has an address of its own: %s and %s', (prod, sandbox) => {
    expect(faults(prod, sandbox)).toEqual(told('an address (host and port)'));
  });

  const key = '{ type: static, in: header, secret: { env: TOKEN } }';
  it('has a credential of its own', () => {
    expect(faults(`${PROD}, credential: k`, 'url: https://s.example, credential: k', `{ k: ${key} }`)).toEqual(
      told('a credential'),
    );
  });

  it('has secrets of its own, under whatever name and at whatever depth', () => {
    const vault =
      '{ type: vault, address: https://v.example, path: kv/x, inject: { in: header, field: k }, login: { role: r, token: { env: TOKEN } } }';
    for (const [a, b] of [
      [key, key],
      [key, vault],
    ])
      expect(faults(`${PROD}, credential: a`, 'url: https://s.example, credential: b', `{ a: ${a}, b: ${b} }`)).toEqual(
        told('a secret'),
      );
  });

  it('has a client of its own at the issuer, however its endpoints are named', () => {
    const client = (where: string) =>
      `{ type: oauth-client-credentials, clientId: gw, clientAuth: none, revoke: false, ${where} }`;
    const credentials = `{ a: ${client('issuer: https://idp.example')}, b: ${client('tokenEndpoint: https://idp.example/token')} }`;
    expect(faults(`${PROD}, credential: a`, 'url: https://s.example, credential: b', credentials)).toEqual(
      told('an issuer’s client'),
    );
  });

  it('shows a client certificate of its own', () => {
    const tls = 'tls: { clientCertificate: { workloadApi: "unix:///run/spire.sock" } }';
    expect(faults(`${PROD}, ${tls}`, `url: https://s.example, ${tls}`)).toEqual(told('a client certificate'));
  });

  it('may share with another sandbox', () => {
    expect(faults(`${PROD}, ${SANDBOX}`, PROD)).toEqual([]);
  });
});

describe('an exemption', () => {
  const exempt = (decide: string, until: string): string =>
    withSections({
      rules: `[{ id: a, match: {}, decide: ${decide}, exempt: { because: nightly, maintainer: dana, until: ${until} } }]`,
    });

  it('is of an allow rule alone, and has an end', () => {
    expect(faultsIn(exempt('deny', '2999-01-01'))).toEqual([
      'rules.0.exempt: Remove `exempt`, or write `decide: allow`: only a rule that allows can exempt.',
    ]);
    expect(faultsIn(exempt('allow', 'soon'))).toEqual([
      'rules.0.exempt.until: Write a date like 2027-01-31, or a time like 2027-01-31T12:00:00Z.',
    ]);
  });

  it('that has ended is warned of', () => {
    const warnings = (until: string) => warningsOf(parseConfig(exempt('allow', until), '/etc/countersign.yaml'));
    expect(warnings('2999-01-01')).toEqual([]);
    expect(warnings('2020-01-01').map(({ path, message }) => [path.join('.'), message])).toEqual([
      ['rules.0.exempt.until', expect.stringMatching(/the exemption has ended/)],
    ]);
  });
});
