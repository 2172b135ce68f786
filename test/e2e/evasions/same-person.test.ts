// The subject of a token is a person, and its client is the agent: another client of the same person sends, and so does
// the same person under another account, or under another spelling of the claim that says who she is. Kind: two names of
// one person that are compared as two people.

import { describe, expect } from 'vitest';
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

const it = worldTest({
  ...MARKING,
  testIssuer: { subject: 'person', personClaim: 'oid' },
  rules: sendsUnless('"customer-data" in tainted'),
});

const at = (person: string, client: string, oid = `oid-${person}`): Agent => ({
  as: person,
  claims: { client_id: client, oid },
});

describe.for(WAYS)('over %s', (name) => {
  // Passed unseen once: the principal is the person, and a rule cannot tell which client reads for her.
  it('another client of the same person does not send', async ({ world }) => {
    const [way, person] = [wayOf(name, world), newAgent('person').as];
    await way.read(at(person, newAgent('reader').as));
    expect(await way.send(at(person, newAgent('sender').as))).toMatch(STOPPED);
  });

  // Passed unseen once: the person has two accounts, which one claim connects.
  it('the same person under another subject does not send', async ({ world }) => {
    const [way, oid] = [wayOf(name, world), newAgent('oid').as];
    await way.read(at(newAgent('person').as, newAgent('reader').as, oid));
    expect(await way.send(at(newAgent('person').as, newAgent('sender').as, oid))).toMatch(STOPPED);
  });

  // The claim connects more than it separates: another spelling of it is the same person (NFKC, folded).
  it('the same person under another spelling of the claim does not send', async ({ world }) => {
    const [way, oid] = [wayOf(name, world), newAgent('STRASSE').as];
    await way.read(at(newAgent('person').as, newAgent('reader').as, oid));
    const spelled = oid.replace('STRASSE', 'ｓｔｒａｓｓｅ');
    expect(await way.send(at(newAgent('person').as, newAgent('sender').as, spelled))).toMatch(STOPPED);
  });

  // A token without the claim would be a person whom nothing connects.
  it('a token without the claim is refused', async ({ world }) => {
    const response = await world.env.call('/api/pages/1', { as: 'somebody', claims: { client_id: 'a' } });
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ code: 'person_unknown' });
  });
});
