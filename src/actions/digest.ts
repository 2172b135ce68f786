// The digest that stands for an action in approvals, spans and the audit log (DESIGN section 7).
// Trusts an Action as classify made it. Every member is present, absent ones as null, and the form is JCS (RFC 8785),
// so two different actions never have the same text, whatever their strings contain.

import type { Action, ActionBinding, Digest } from '../domain/action.ts';
import { canonicalDigest, sha256 } from '../domain/canonical.ts';

const EMPTY = sha256('');

/**
 * SHA-256 over `countersign/action/v1` and what would be done, with which credential, under which rules. The digest of an empty body
 * is that of no bytes; a streamed body is unknown, so its digest and length are null: such an action is never held.
 */
export function actionDigest(action: Action, binding: ActionBinding): Digest {
  return canonicalDigest('countersign/action/v1', {
    method: action.method,
    upstream: action.upstream,
    authority: action.authority,
    target: action.target,
    tool: action.tool ?? null,
    contentType: action.contentType ?? null,
    headers: action.boundHeaders,
    bodyDigest: action.streamed ? null : (action.body?.digest ?? EMPTY),
    bodyLength: action.streamed ? null : (action.body?.bytes.byteLength ?? 0),
    argumentsDigest: action.args === undefined ? null : canonicalDigest('countersign/arguments/v1', action.args),
    credential: binding.credential === undefined ? null : { name: binding.credential.name, scope: binding.credential.scope },
    ruleIds: binding.ruleIds,
  });
}
