// SPIFFE ids whose last segment is the pod: a new pod of the same account sends what the old one has read. Kind: a name
// that changes by itself, and with it everything that is known of its bearer.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { expect } from 'vitest';
import { GATEWAY_AUDIENCE } from '../../support/config.ts';
import {
  type Agent,
  MARKING,
  newAgent,
  STOPPED,
  sendsUnless,
  WAYS,
  wayOf,
  worldTest,
} from '../../support/reads-and-sends.ts';
import { bundleDocument, createAuthority } from '../../support/spiffe-authority.ts';

const authority = await createAuthority('prod.test');
const { publicKey, privateKey } = await generateKeyPair('ES256');
const key = { ...(await exportJWK(publicKey)), kid: 'pods', use: 'jwt-svid' };

const it = worldTest(({ folder }: { folder: string }) => {
  writeFileSync(join(folder, 'prod.json'), bundleDocument([authority], {}, [key]));
  const issuer = { name: 'prod', type: 'spiffe', trustDomain: 'prod.test', bundle: { file: './prod.json' } };
  return {
    ...MARKING,
    identity: { issuers: [{ ...issuer, agentKey: { path: '/ns/:ns/sa/:sa/*' } }] },
    rules: sendsUnless('"customer-data" in tainted'),
  };
});

async function pod(account: string, name: string): Promise<Agent> {
  const token = await new SignJWT({ sub: `spiffe://prod.test/ns/shop/sa/${account}/pod/${name}` })
    .setProtectedHeader({ alg: 'ES256', kid: 'pods', typ: 'JWT' })
    .setAudience(GATEWAY_AUDIENCE)
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(privateKey);
  return { as: 'unused', headers: { authorization: `Bearer ${token}` } };
}

// Passed unseen once: every pod is an agent of its own, and a restart of the pod makes it a new one.
it.for(WAYS)('a new pod of the same account does not send over %s', async (name, { world }) => {
  const [way, account] = [wayOf(name, world), newAgent('account').as];
  await way.read(await pod(account, 'a1'));
  expect(await way.send(await pod(account, 'b2'))).toMatch(STOPPED);
  expect(await way.send(await pod(`${account}-2`, 'a1'))).toBe('sent');
});
