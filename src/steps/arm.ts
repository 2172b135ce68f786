// arm: the upstream credential, made after clearance and record, for this call.

import type { Broker, Credential } from '../domain/credential.ts';
import type { Armed, Call, Journaled } from '../domain/stages.ts';
import { refuseSuspended } from '../domain/suspension.ts';
import { asGatewayError } from '../errors.ts';
import type { Suspensions } from './identify.ts';

export function arm(broker: Broker, suspensions: Suspensions, journaled: Journaled): Armed | Promise<Armed> {
  const { clearance, action, principal, task } = journaled;
  // Suspended since it was identified, perhaps while its body arrived: nothing is minted that the kill switch would
  // have to take back.
  refuseSuspended(suspensions, principal, task?.id);
  const issued = broker.issue(clearance, journaled, action);
  if (issued === undefined) return journaled;
  return issued instanceof Promise ? minted(suspensions, journaled, issued) : equip(journaled, issued);
}

function equip(journaled: Journaled, credential: Credential): Armed {
  const { call } = journaled;
  call.credential = credential;
  call.facts.credential = credential;
  return { ...journaled, credential };
}

async function minted(suspensions: Suspensions, journaled: Journaled, minting: Promise<Credential>): Promise<Armed> {
  const { call, principal, task } = journaled;
  // Only a mint is worth a span: a shared credential that is at hand costs nothing.
  const armed = equip(journaled, await traced(call, minting));
  // While it was minted the kill switch may have looked for it in vain: settle takes it back.
  refuseSuspended(suspensions, principal, task?.id);
  return armed;
}

async function traced(call: Call, minting: Promise<Credential>): Promise<Credential> {
  const span = call.span?.child('mint', call.facts);
  try {
    const credential = await minting;
    span?.end({ ...call.facts, credential });
    return credential;
  } catch (thrown) {
    span?.end(call.facts, asGatewayError(thrown).code);
    throw thrown;
  }
}
