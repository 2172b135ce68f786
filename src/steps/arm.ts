// arm: the upstream credential, made after clearance and record, for this call.

import { factsOf } from '../domain/call-facts.ts';
import type { Broker, Credential } from '../domain/credential.ts';
import type { Armed, Journaled } from '../domain/stages.ts';
import { refuseSuspended } from '../domain/suspension.ts';
import { asGatewayError } from '../errors.ts';
import type { Suspensions } from './identify.ts';

/** Keeps what is known already of a call that was sent before, and gets a second credential. */
export function arm<Stage extends Journaled>(
  broker: Broker,
  suspensions: Suspensions,
  journaled: Stage,
): (Stage & Armed) | Promise<Stage & Armed> {
  const { clearance, action } = journaled;
  // Suspended since it was identified, perhaps while its body arrived: nothing is minted that the kill switch would
  // have to take back.
  refuseSuspended(suspensions, journaled);
  const issued = broker.issue(clearance, journaled, action);
  if (issued === undefined) return journaled;
  return issued instanceof Promise ? minted(suspensions, journaled, issued) : equip(journaled, issued);
}

function equip<Stage extends Journaled>(journaled: Stage, credential: Credential): Stage & Armed {
  return journaled.call.reach({ ...journaled, credential });
}

async function minted<Stage extends Journaled>(
  suspensions: Suspensions,
  journaled: Stage,
  minting: Promise<Credential>,
): Promise<Stage & Armed> {
  const armed = await traced(journaled, minting);
  // While it was minted the kill switch may have looked for it in vain: settle takes it back.
  refuseSuspended(suspensions, journaled);
  return armed;
}

/** Only a mint is worth a span: a shared credential that is at hand costs nothing. */
async function traced<Stage extends Journaled>(journaled: Stage, minting: Promise<Credential>): Promise<Stage & Armed> {
  let stage: Journaled = journaled;
  const span = journaled.call.span?.child('mint', () => factsOf(stage));
  try {
    const armed = equip(journaled, await minting);
    stage = armed;
    span?.end();
    return armed;
  } catch (thrown) {
    span?.end(asGatewayError(thrown).code);
    throw thrown;
  }
}
