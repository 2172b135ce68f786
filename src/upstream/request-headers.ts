// Builds the fields that go upstream: the agent's fields without those that say who the agent is, how it is connected
// or what the gateway said; then the gateway's own fields; then the credential. Only here are the agent's fields
// filtered for sending. The agent's credentials, spoofed proxy fields, and a second field next to an injected one never
// pass.

import { sha256 } from '../domain/canonical.ts';
import type { Injection, SignatureInjection } from '../domain/credential.ts';
import { type HeaderList, isListed } from '../domain/headers.ts';
import { carriesIdentity } from '../domain/identity-fields.ts';
import type { Outgoing } from '../domain/upstream.ts';
import { GatewayError } from '../errors.ts';
import { HOP_BY_HOP, isFieldName, isFieldValue, nominated, rememberByName } from './fields.ts';
import type { UpstreamOptions } from './targets.ts';

const DROPPED: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  // framing and addressing are made anew
  'content-length',
  'expect',
  'host',
  'http2-settings',
  'max-forwards',
  // the agent's credentials stay here
  'api-key',
  'apikey',
  'authorization',
  'cookie',
  'cookie2',
  'dpop',
  'ocp-apim-subscription-key',
  'private-token',
  'x-access-token',
  'x-amz-security-token',
  'x-api-key',
  'x-apikey',
  'x-auth-key',
  'x-auth-token',
  'x-authorization',
  'x-goog-api-key',
  'x-goog-iap-jwt-assertion',
  'x-vault-token',
  // what only a proxy in front of this gateway could say, and there is none
  'client-cert',
  'client-cert-chain',
  'forwarded',
  'true-client-ip',
  'via',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-original-host',
  'x-original-method',
  'x-original-uri',
  'x-original-url',
  'x-real-ip',
  'x-rewrite-url',
  // another method than the one that was decided on
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  // a statement about the task, made for the gateway
  'txn-token',
  // another trace than the one that is recorded
  'b3',
  'baggage',
  'traceparent',
  'tracestate',
  'uber-trace-id',
]);
const DROPPED_PREFIXES: readonly string[] = [
  'countersign-',
  'x-countersign-',
  'x-forwarded-',
  'x-envoy-',
  'x-b3-',
  'proxy-',
  'sec-websocket-',
];

/**
 * Whether a field of the agent's, by its lower-case name, never goes upstream. `X_Forwarded_For` counts as what it
 * would become behind CGI or WSGI.
 */
const neverForwarded = rememberByName((name) => {
  const canonical = name.replaceAll('_', '-');
  return DROPPED.has(canonical) || DROPPED_PREFIXES.some((prefix) => canonical.startsWith(prefix));
});

const speaksForTheAgent = rememberByName(carriesIdentity);

/**
 * The flat list for undici, without Host and framing. With `identityOnly` the upstream is asked not to compress, so
 * that what comes back can be searched. `leftBehind` is given the names of the agent's fields that stay here because
 * the gateway's credential speaks instead. Throws `credential_unavailable` when the credential cannot be written as a
 * field.
 */
export function upstreamFields(
  outgoing: Outgoing,
  options: UpstreamOptions,
  identityOnly: boolean,
  leftBehind: string[] = [],
): string[] {
  const { action, request, boundHeadersOnly, requestHeaders, credential } = outgoing;
  const agent = boundHeadersOnly ? action.boundHeaders : request.headers;
  const injected = credential?.injection.in === 'header' ? injectedField(credential.injection) : undefined;
  const signed = credential?.injection.in === 'signature' ? credential.injection.replaces : undefined;
  const connectionOptions = nominated(request.headers);
  const fields: string[] = [];
  for (let i = 0; i < agent.length; i += 2) {
    const name = agent[i] as string;
    if (neverForwarded(name) || name === options.agentToken || name === injected?.name || connectionOptions?.has(name))
      continue;
    // With the gateway's credential, no field of the agent may say who is asking. Fields that an approval binds were
    // configured and seen.
    if (
      credential !== undefined &&
      !boundHeadersOnly &&
      speaksForTheAgent(name) &&
      !isListed(options.forwardHeaders ?? [], name)
    ) {
      leftBehind.push(name);
      continue;
    }
    if ((identityOnly && name === 'accept-encoding') || signed?.has(name)) continue;
    if (requestHeaders.length > 0 && names(requestHeaders, name)) continue;
    fields.push(name, agent[i + 1] as string);
  }
  // The media type is part of what was approved even where the action does not list it among its bound fields.
  if (
    boundHeadersOnly &&
    action.contentType !== undefined &&
    action.body !== undefined &&
    !names(fields, 'content-type')
  ) {
    fields.push('content-type', action.contentType);
  }
  if (identityOnly) fields.push('accept-encoding', 'identity');
  for (let i = 0; i < requestHeaders.length; i += 2) {
    if (requestHeaders[i] !== injected?.name && requestHeaders[i + 1] !== '')
      fields.push(requestHeaders[i] as string, requestHeaders[i + 1] as string);
  }
  if (injected !== undefined) fields.push(injected.name, injected.value);
  return fields;
}

/** Bounds on the names that are listed: an answer must not grow with names that the agent made up. */
const MOST_TOLD = 20;
const LONGEST_TOLD = 100;

/**
 * The note on the answer about fields that were not forwarded: without them an allowed call may do something else than
 * its agent meant.
 */
export function toldLeftBehind(names: readonly string[]): HeaderList {
  const told = [...new Set(names)].filter(({ length }) => length <= LONGEST_TOLD).slice(0, MOST_TOLD);
  return told.length === 0 ? [] : ['countersign-fields-left-behind', told.join(', ')];
}

const NO_BODY_DIGEST = sha256('');

/**
 * The fields with the signature's own. It covers exactly what will be sent: nothing may be added afterwards but
 * framing.
 */
export async function signedFields(
  injection: SignatureInjection,
  outgoing: Outgoing,
  target: string,
  fields: readonly string[],
): Promise<string[]> {
  const { action, request } = outgoing;
  const streamed = action.body === undefined && action.streamed && !request.body.empty;
  const added = await injection.sign({
    method: action.method,
    authority: action.authority,
    target,
    headers: fields,
    received: request.headers,
    ...(!streamed && { bodyDigest: action.body?.digest ?? NO_BODY_DIGEST }),
  });
  return [...fields, ...added];
}

function injectedField(injection: Injection & { readonly in: 'header' }): { name: string; value: string } {
  const name = injection.name.toLowerCase();
  const value = injection.value.reveal();
  if (
    !isFieldName(name) ||
    HOP_BY_HOP.has(name) ||
    name === 'host' ||
    name === 'content-length' ||
    !isFieldValue(value)
  ) {
    throw new GatewayError('credential_unavailable', 'The credential cannot be written as a header field.');
  }
  return { name, value };
}

/**
 * The request target: exactly the action's, with a query credential appended. Throws `bad_path` for what is not in
 * origin-form and `bad_request` when the query already has the credential's parameter, since an upstream might read the
 * agent's instead.
 */
export function upstreamTarget({ action: { target }, credential }: Outgoing): string {
  // undici would send `//host`, an absolute URL or a fragment as they are.
  if (target[0] !== '/' || target[1] === '/' || target.includes('#'))
    throw new GatewayError('bad_path', 'The request target is not in origin-form.');
  if (credential?.injection.in !== 'query') return target;
  const { name, value } = credential.injection;
  const start = target.indexOf('?');
  if (start !== -1 && hasParameter(target.slice(start + 1), name)) {
    throw new GatewayError(
      'bad_request',
      'The query already has the parameter that carries the upstream’s credential.',
    );
  }
  return `${target}${start === -1 ? '?' : '&'}${encodeURIComponent(name)}=${encodeURIComponent(value.reveal())}`;
}

/**
 * Reads the query as generously as any server might: `;` also separates, `name[]` and other cases are the same name.
 */
function hasParameter(query: string, name: string): boolean {
  const wanted = name.toLowerCase();
  return query.split(/[&;]/).some((pair) => {
    const raw = (pair.split('=', 1)[0] ?? '').replaceAll('+', ' ');
    const decoded = raw.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    const key = decoded.trim().toLowerCase();
    return key === wanted || key.startsWith(`${wanted}[`);
  });
}

function names(headers: HeaderList, name: string): boolean {
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return true;
  return false;
}
