// Service account tokens that hang on an object of their own, against a strict server written from the API description.

import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UnwantedGrant } from '../../src/credentials/broker-provider.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { brokerOver } from '../support/broker-over.ts';
import { allowed, callerNamed, released, transferAction } from '../support/clearances.ts';
import { failureOf } from '../support/failures.ts';
import { type Answer, GATEWAY_TOKEN, type KubernetesServer, startKubernetes } from '../support/kubernetes-server.ts';
import { providerOf } from '../support/providers.ts';
import { grantOf, secretOf } from '../support/signing.ts';

const narrow = { serviceAccount: 'shop/deployer', audiences: ['https://kubernetes.default.svc'] };

let cluster: KubernetesServer;
beforeEach(async () => {
  cluster = await startKubernetes();
});
afterEach(async () => {
  expect(cluster.violations).toEqual([]);
  await cluster.stop();
});

const provider = (more: object = {}) =>
  providerOf({
    type: 'kubernetes',
    server: cluster.origin,
    token: secretOf(GATEWAY_TOKEN),
    serviceAccounts: ['shop/deployer', 'shop/reader'],
    ...more,
  });

describe('a token', () => {
  it('is for one service account and its audiences, for ten minutes, and hangs on a Secret that names the hold', async () => {
    const minted = await provider().mint(grantOf(narrow, { holdId: 'hold_1' }));
    const [anchor] = cluster.anchors() as { metadata: { name: string; uid: string; annotations: object } }[];
    expect(anchor?.metadata.annotations).toMatchObject({ 'countersign.dev/hold': 'hold_1' });
    expect(cluster.asked).toMatchObject([
      {
        spec: {
          audiences: narrow.audiences,
          expirationSeconds: 600,
          boundObjectRef: { kind: 'Secret', name: anchor?.metadata.name, uid: anchor?.metadata.uid },
        },
      },
    ]);
    expect(minted.injection.value.reveal()).toBe(`Bearer ${cluster.made[0]}`);
    expect(minted).toMatchObject({
      revocability: 'object',
      granted: { serviceAccount: 'shop/deployer', audiences: narrow.audiences },
    });
    expect(inspect(minted, { depth: 9 }) + JSON.stringify(minted)).not.toContain(cluster.made[0]);
  });

  it('ends with its Secret; deleting it again is no fault', async () => {
    const one = provider();
    const { handle } = await one.mint(grantOf(narrow));
    if (handle === undefined) throw new Error('no handle');
    await one.revoke?.(handle);
    expect(cluster.isAlive(cluster.made[0] ?? '')).toBe(false);
    await one.revoke?.(handle);
  });

  it('needs no word of the rule where one service account is configured', async () => {
    const minted = await provider({ serviceAccounts: ['shop/reader'] }).mint(grantOf({}));
    expect(minted.granted).toEqual({ serviceAccount: 'shop/reader', audiences: ['https://kubernetes.default.svc'] });
  });
});

describe('nothing is asked of the cluster', () => {
  it.each([
    ['a rule that does not choose', {}, {}],
    ['another service account', {}, { serviceAccount: 'shop/admin' }],
    ['a path in place of a name', {}, { serviceAccount: 'shop/../kube-system' }],
    ['another audience', { audiences: ['vault'] }, narrow],
    ['a member that it does not know', {}, { ...narrow, namespace: 'shop' }],
  ] satisfies [string, object, JsonObject][])('for %s', async (_, more, scope) => {
    expect(await failureOf(provider(more).mint(grantOf(scope)))).toMatchObject({ code: 'credential_unavailable' });
    expect(cluster.requests).toEqual([]);
  });
});

describe('an answer is refused, and its object deleted,', () => {
  it.each([
    [
      'when the token is for more audiences',
      ({ spec, status }) => ({ status, spec: { ...spec, audiences: [...narrow.audiences, 'vault'] } }),
      'credential_too_broad',
    ],
    [
      'when it does not say for whom',
      ({ spec: { audiences: _, ...spec }, status }) => ({ status, spec }),
      'credential_too_broad',
    ],
    [
      'when the token hangs on nothing',
      ({ spec: { boundObjectRef: _, ...spec }, status }) => ({ status, spec }),
      'credential_too_broad',
    ],
    [
      'when the API server extended its life',
      ({ spec, status }) => ({ spec, status: { ...status, expirationTimestamp: '2099-01-01T00:00:00Z' } }),
      'credential_too_broad',
    ],
    ['when there is no token', ({ spec }) => ({ spec, status: {} }), 'credential_unavailable'],
    ['when the token is refused', () => undefined, 'credential_unavailable'],
  ] satisfies [string, (answer: Answer) => Answer | undefined, string][])('%s', async (_, alter, code) => {
    cluster.alter(alter);
    expect(await failureOf(provider().mint(grantOf(narrow)))).toBeInstanceOf(UnwantedGrant);
    const { broker, ledger } = brokerOver(provider());
    const thrown = await failureOf(
      Promise.resolve(broker.issue(released({ name: 'cluster', scope: narrow }), callerNamed('agent'), transferAction)),
    );
    expect(thrown).toMatchObject({ code });
    expect(inspect(thrown)).not.toContain(GATEWAY_TOKEN);
    // The first attempt went past the broker, which alone takes back.
    expect(cluster.anchors()).toHaveLength(1);
    expect(await ledger.outstanding()).toEqual([]);
    await broker.close();
  });
});

it('tells a refusal by its reason and says nothing of the token that was shown', async () => {
  const thrown = await failureOf(provider({ token: secretOf('another') }).mint(grantOf(narrow)));
  expect(thrown).toMatchObject({ code: 'credential_unavailable', detail: expect.stringContaining('Unauthorized') });
  expect(cluster.anchors()).toEqual([]);
});

it('each released call has its own, allowed ones share, and all end when the gateway does', async () => {
  const { broker, ledger } = brokerOver(provider());
  const plan = { name: 'cluster', scope: narrow };
  await Promise.all(
    Array.from({ length: 100 }, () => broker.issue(allowed(plan), callerNamed('agent'), transferAction)),
  );
  expect(cluster.made).toHaveLength(1);
  const issued = await Promise.all(
    Array.from({ length: 5 }, () => broker.issue(released(plan), callerNamed('agent'), transferAction)),
  );
  expect(cluster.made).toHaveLength(6);
  await Promise.all(issued.map((credential) => credential && broker.release(credential)));
  expect(cluster.made.filter(cluster.isAlive)).toHaveLength(1);
  await broker.close();
  expect(cluster.anchors()).toEqual([]);
  expect(await ledger.outstanding()).toEqual([]);
});
