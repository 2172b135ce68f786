// The digest that stands for an action in approvals, spans and the audit log (DESIGN section 7).
// Trusts an Action as classify made it. Every member is present, absent ones as null, and the form is JCS (RFC 8785),
// so two different actions never have the same text, whatever their strings contain.

import type { Action, ActionBinding, Digest } from '../domain/action.ts';
import { canonicalDigest, canonicalText, digestText, sha256 } from '../domain/canonical.ts';
import type { HeaderList } from '../domain/headers.ts';
import type { JsonObject } from '../domain/json.ts';
import { approvedFields, bindsSession } from '../domain/mcp-session.ts';

const EMPTY = sha256('');

/**
 * SHA-256 over `countersign/action/v1` and what would be done, with which credential, under which rules. The digest of
 * an empty body is that of no bytes; a streamed body is unknown, so its digest and length are null: such an action is
 * never held. For an MCP message the digest is that of `ActionBody.identity`, and the length is null; its session is no
 * part of it.
 */
export function actionDigest(action: Action, binding: ActionBinding): Digest {
  return digestOf(action, approvedFields(action), binding);
}

/** The digest from the time when approvals bound the MCP session. Undefined where the action has no session. */
export function formerActionDigest(action: Action, binding: ActionBinding): Digest | undefined {
  return bindsSession(action) ? digestOf(action, action.boundHeaders, binding) : undefined;
}

function digestOf(action: Action, headers: HeaderList, binding: ActionBinding): Digest {
  // Texts, numbers, null and lists of texts, under names in order: of these JSON.stringify writes the JCS form, at a
  // third of the cost. The one member of free form goes between. A property test holds the result against the JCS of
  // the whole.
  const before = JSON.stringify({
    argumentsDigest: action.args === undefined ? null : canonicalDigest('countersign/arguments/v1', action.args),
    authority: action.authority,
    bodyDigest: action.streamed ? null : (action.body?.identity ?? action.body?.digest ?? EMPTY),
    // With another JSON-RPC id the same message can have another length: its identity is bound instead.
    bodyLength: action.streamed || action.body?.identity !== undefined ? null : (action.body?.bytes.byteLength ?? 0),
    contentType: action.contentType ?? null,
  });
  const after = JSON.stringify({
    headers,
    method: action.method,
    ruleIds: binding.ruleIds,
    target: action.target,
    tool: action.tool ?? null,
    ...(action.mcp?.toolChange && {
      toolDefinition: canonicalDigest('countersign/tool-definition/v1', action.mcp.toolChange.now),
    }),
    ...(action.upgrade && { upgrade: action.upgrade }),
    upstream: action.upstream,
  });
  return digestText(
    'countersign/action/v1',
    `${before.slice(0, -1)},"credential":${credentialText(binding)},${after.slice(1)}`,
  );
}

const texts = new WeakMap<JsonObject, string>();

/** Policy gives the same scope object to every call with that scope, so its JCS form is made once. */
function credentialText({ credential }: ActionBinding): string {
  if (credential === undefined) return 'null';
  let scope = texts.get(credential.scope);
  if (scope === undefined) {
    scope = canonicalText(credential.scope);
    texts.set(credential.scope, scope);
  }
  return `{"name":${JSON.stringify(credential.name)},"scope":${scope}}`;
}
