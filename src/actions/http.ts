// Plain HTTP calls as actions: the request line, the bound fields, and as much of the body as the rules that could
// match need. Trusts receiveRequest for path and framing. Refuses a body that must be read and can be read in two ways.

import { isUtf8 } from 'node:buffer';
import { setImmediate as othersTurn } from 'node:timers/promises';
import type { Action, ActionBody, BodyNeed } from '../domain/action.ts';
import { sha256 } from '../domain/canonical.ts';
import { header } from '../domain/headers.ts';
import { isJsonObject, type Json } from '../domain/json.ts';
import { hasTwins } from '../domain/normal-forms/keys.ts';
import { overridesMethodByKey } from '../domain/normal-forms/methods.ts';
import { parametersOf } from '../domain/normal-forms/parameters.ts';
import type { InboundRequest } from '../domain/request.ts';
import { parseSharedJson } from '../domain/strict-json.ts';
import { GatewayError } from '../errors.ts';
import { checkXmlEncoding, type MediaKind, mediaKind } from './media.ts';
import { formOverridesMethod, overridden, watchOverride } from './override.ts';
import { type Outline, outline, type UpstreamDescriptor } from './target.ts';

export interface ClassifyLimits {
  /** Largest body that is buffered because the call may be held (`limits.heldBody`). */
  readonly heldBodyBytes: number;
  /** Largest body that is buffered because a condition reads it, and largest MCP message (`limits.inspectedBody`). */
  readonly inspectedBodyBytes: number;
}

/**
 * `stream` leaves the body unread, and so does `method`, but for fields that would override the method, which end it on
 * its way; where the upstream `signsBodies`, both buffer and hash it, whatever its type. `whole` does that as `method`
 * would. `bytes` buffers and hashes it: JSON is parsed strictly into `args`, forms and text/* have to be UTF-8,
 * anything else is refused. `json` takes only application/json or +json. An empty body satisfies every need, and then
 * the action is not a streamed one. Throws `unsupported_media_type`, `bad_json`, `bad_request`, `payload_too_large`,
 * `request_timeout`, `client_closed`.
 */
export function classifyHttp(
  request: InboundRequest,
  upstream: UpstreamDescriptor,
  need: BodyNeed,
  limits: ClassifyLimits,
): Action | Promise<Action> {
  const base = outline(request, upstream);
  if (request.body.empty) return { ...base, streamed: false };
  const contentType = header(request.headers, 'content-type');
  const typed = contentType === undefined ? base : { ...base, contentType };
  if (need === 'json' || need === 'bytes') return withBody(request, typed, need, limits);
  if (need !== 'stream') watchMethod(request);
  return need === 'whole' || upstream.signsBodies ? withDigest(request, typed, limits) : { ...typed, streamed: true };
}

/** No rule reads the body, but it is signed, or must be complete before the decision. Any media type is accepted. */
async function withDigest(
  request: InboundRequest,
  { contentType, ...base }: Outline & Pick<Action, 'contentType'>,
  limits: ClassifyLimits,
): Promise<Action> {
  const bytes = await request.body.buffer(limits.heldBodyBytes);
  const body = bytes.byteLength === 0 ? {} : { ...(contentType !== undefined && { contentType }), body: hashed(bytes) };
  return { ...base, ...body, streamed: false };
}

function watchMethod({ body, headers }: InboundRequest): void {
  const watch = watchOverride(headers);
  if (watch === undefined) return;
  if (body.watch === undefined) throw new GatewayError('internal', 'A body that cannot be watched would be streamed.');
  body.watch(watch);
}

/** A body of this size can take as long to parse as to decide on. Other calls get a turn in between. */
export const LARGE_BYTES = 128 * 1024;

async function withBody(
  request: InboundRequest,
  { contentType, ...base }: Outline & Pick<Action, 'contentType'>,
  need: 'bytes' | 'json',
  limits: ClassifyLimits,
): Promise<Action> {
  // Checked before the body is requested: a client that waits for 100 Continue then sends nothing in vain.
  const kind = mediaKind(request.headers);
  if (need === 'json' && kind !== 'json')
    throw new GatewayError(
      'unsupported_media_type',
      'The rules for this call read its body, which has to be application/json.',
    );
  const bytes = await request.body.buffer(need === 'json' ? limits.inspectedBodyBytes : limits.heldBodyBytes);
  if (bytes.byteLength === 0) return { ...base, streamed: false };
  const args = read(bytes, kind);
  if (bytes.byteLength > LARGE_BYTES) await othersTurn();
  return {
    ...base,
    ...(contentType !== undefined && { contentType }),
    ...(args !== undefined && { args }),
    body: hashed(bytes),
    streamed: false,
  };
}

function read(bytes: Uint8Array, kind: MediaKind): Json | undefined {
  if (kind === 'json') {
    const value = parseSharedJson(bytes);
    if (isJsonObject(value) && Object.keys(value).some(overridesMethodByKey)) throw overridden();
    return value;
  }
  if (!isUtf8(bytes)) throw new GatewayError('unsupported_media_type', 'The body is not UTF-8.');
  const text = (): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  if (kind === 'form') checkForm(text());
  if (kind === 'xml') checkXmlEncoding(text());
  return undefined;
}

/** Rules do not read forms, but a person may approve one. */
function checkForm(text: string): void {
  if (formOverridesMethod(text)) throw overridden();
  const names = new Set<string>();
  for (const { name } of parametersOf(text)) names.add(name);
  if (hasTwins([...names])) {
    throw new GatewayError(
      'bad_request',
      'Two parameters of the form have names that some servers take for one: they differ in letter case, ' +
        'width or the like.',
    );
  }
}

export function hashed(bytes: Uint8Array): ActionBody {
  return { bytes, digest: sha256(bytes) };
}
