// arm: the upstream credential, made after clearance and record, for this call.

import type { Broker } from '../domain/credential.ts';
import type { Armed, Journaled } from '../domain/stages.ts';
import { asGatewayError } from '../errors.ts';

export async function arm(broker: Broker, journaled: Journaled): Promise<Armed> {
  const { call, clearance, decision, action } = journaled;
  if (decision.credential === undefined) return journaled;
  const span = call.span?.child('mint', call.facts);
  try {
    const credential = await broker.issue(clearance, journaled, action);
    if (credential === undefined) {
      span?.end(call.facts);
      return journaled;
    }
    call.credential = credential;
    call.facts.credential = credential;
    span?.end(call.facts);
    return { ...journaled, credential };
  } catch (thrown) {
    span?.end(call.facts, asGatewayError(thrown).code);
    throw thrown;
  }
}
