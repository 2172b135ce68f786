// decide: the policy in force over principal, action, task and facts. The same function judges a call when it arrives and
// again when its approval is about to be used. The approval is then one more input.

import type { Action, ActionBinding, Digest } from '../domain/action.ts';
import type { Clock } from '../domain/clock.ts';
import type { Approval, Decision } from '../domain/decision.ts';
import type { Facts } from '../domain/facts.ts';
import type { Principal } from '../domain/principal.ts';
import type { RuntimeConfig } from '../domain/runtime-config.ts';
import type { Assessed, Decided } from '../domain/stages.ts';

/** An action's digests under what a decision would bind to it; from actions/digest.ts. */
export interface ActionDigests {
  of(action: Action, binding: ActionBinding): Digest;
  /** For holds that are bound to the action's MCP session. */
  former(action: Action, binding: ActionBinding): Digest | undefined;
  /** Of the identical request: equal for a call that is sent again. From approvals/binding.ts. */
  request(principal: Principal, taskId: string | undefined, action: Action): Digest;
}

/** The verdict alone. */
export function judge(
  runtime: RuntimeConfig,
  clock: Clock,
  { request, principal, action, task, calls, facts, resumes }: Assessed,
  approval?: Approval,
): Decision {
  return runtime.policy.decide({
    principal,
    action,
    headers: resumes?.headers ?? request.headers,
    ...(task && { task }),
    calls,
    facts,
    ...(approval && { approval }),
    now: clock.now(),
  });
}

export function decide(
  runtime: RuntimeConfig,
  clock: Clock,
  digests: Omit<ActionDigests, 'request'>,
  assessed: Assessed,
  approval?: Approval,
): Decided {
  const { action, resumes } = assessed;
  const decision = judge(runtime, clock, assessed, approval);
  const binding = bindingOf(decision);
  const actionDigest = digests.of(action, binding);
  // Only a call that asks for an approval needs this digest.
  const asksForHold = decision.effect === 'hold' || approval !== undefined || resumes !== undefined;
  const formerActionDigest = asksForHold ? digests.former(action, binding) : undefined;
  const facts = withDestinations(runtime, assessed, asksForHold);
  return formerActionDigest === undefined
    ? { ...assessed, facts, decision, actionDigest }
    : { ...assessed, facts, decision, actionDigest, formerActionDigest };
}

/** An approval binds where the call leads, and people see it. Otherwise it is known only where a rule asked for it. */
function withDestinations({ policy }: RuntimeConfig, assessed: Assessed, asksForHold: boolean): Facts {
  const { principal, action, facts, request, resumes } = assessed;
  const call = { principal, action, headers: resumes?.headers ?? request.headers };
  const destinations = asksForHold ? policy.destinations(call) : policy.knownDestinations(call);
  return destinations === undefined ? facts : { ...facts, destinations };
}

function bindingOf(decision: Decision): ActionBinding {
  const ruleIds = decision.rules.map((rule) => rule.id);
  return decision.credential === undefined ? { ruleIds } : { ruleIds, credential: decision.credential };
}
