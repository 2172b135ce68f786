// arm: the upstream credential, made after clearance and record, for this call.

import type { Broker, Credential } from '../domain/credential.ts';
import type { Armed, Call, Journaled } from '../domain/stages.ts';
import { refuseSuspended } from '../domain/suspension.ts';
import { asGatewayError } from '../errors.ts';
import type { Suspensions } from './identify.ts';

export async function arm(broker: Broker, suspensions: Suspensions, journaled: Journaled): Promise<Armed> {
  const { call, clearance, action, principal, task } = journaled;
  // Suspended since it was identified, perhaps while its body arrived: nothing is minted that the kill switch would have to take back.
  refuseSuspended(suspensions, principal, task?.id);
  const issued = broker.issue(clearance, journaled, action);
  if (issued === undefined) return journaled;
  // Only a mint is worth a span: a shared credential that is at hand costs nothing.
  const credential = issued instanceof Promise ? await traced(call, issued) : issued;
  call.credential = credential;
  call.facts.credential = credential;
  // While it was minted the kill switch may have looked for it in vain: settle takes it back.
  if (issued instanceof Promise) refuseSuspended(suspensions, principal, task?.id);
  return { ...journaled, credential };
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
