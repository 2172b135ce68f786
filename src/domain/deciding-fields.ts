// Header fields that change what an upstream does with a request. A held call forwards only the fields that its
// approval binds. Without one of these fields it would be another call than the one that people approved: an S3 copy
// becomes an empty upload, a conditional write becomes unconditional. The names come from the documentation of the
// servers that are named beside them.

import { type HeaderList, header } from './headers.ts';
import { carriesIdentity, fieldKey, fieldTable } from './identity-fields.ts';

const isListed = fieldTable(
  [
    // RFC 9110 conditions and ranges, RFC 7240, RFC 9530; what names or places the thing that is written (RFC 5023,
    // LDP)
    'if prefer want-repr-digest content-range content-disposition content-location content-transfer-encoding ' +
      'slug link expect-ct',
    // WebDAV (RFC 4918, 3253, 3648, 6638)
    'destination depth overwrite lock-token timeout label position ordering-type apply-to-redirect-ref ' +
      'translate brief cal-managed-id schedule-reply',
    // SOAP, Dropbox: the operation and its arguments are fields
    'soapaction dropbox-api-arg dropbox-api-path-root',
    // once only, by whatever name
    'x-idempotency-key idempotency-token paypal-request-id x-request-idempotency-key ' +
      'repeatability-request-id repeatability-first-sent',
    // try only, or in force
    'x-dry-run dry-run x-dryrun dryrun x-force force x-confirm x-validate-only x-async',
    // PostgREST’s schema, Supabase’s storage, Web Push (RFC 8030)
    'accept-profile content-profile x-upsert upsert x-on-conflict ttl urgency topic',
    // Microsoft Graph, OData and Dynamics
    'consistencylevel workbook-session-id odata-isolation x-requestdigest',
    // GitHub’s and Docker’s, Git’s
    'x-registry-config git-protocol',
    // Swift’s, and the like
    'x-copy-from x-copy-from-account x-fresh-metadata x-symlink-target x-newest',
    // tenancy and targets that some servers take from a field
    'x-target x-action x-operation x-cascade x-recursive x-overwrite x-copy-source copy-source x-rename-to x-move-to',
  ],
  [
    // conditions; method and path of another kind
    'if- unless- x-http- x-method',
    // what is asked for in words
    'x-force- x-allow- x-confirm- x-skip- x-permanent x-purge',
    // AWS, Azure, Google Cloud Storage, those of Alibaba, Tencent and Huawei, Swift and the resumable uploads of all of
    // them (tus.io)
    'x-amz- x-amzn- x-ms- x-goog- x-oss- x-cos- x-obs- x-object- x-container- x-account- x-delete- x-remove-',
    'x-versions- x-history- x-upload- upload- tus-',
    // Backblaze, Nextcloud and ownCloud, CouchDB
    'x-bz- oc- x-oc- x-nc- x-couch-',
    // CloudEvents in binary mode, GitHub’s webhooks, gRPC
    'ce- x-github- grpc-',
    // Salesforce, Dynamics, Vault, Consul, Nomad, Trino, Presto, ClickHouse, Snowflake, InfluxDB
    'sforce- mscrm x-vault- x-consul- x-nomad- x-trino- x-presto- x-clickhouse- x-snowflake- x-influxdb-',
  ],
);

/** Selects a version of an API, or its unreleased features: `X-GitHub-Api-Version`, `Stripe-Version`, `OpenAI-Beta`. */
const VERSION = /(?:^|-)(?:version|maxversion|beta|preview)$/;
/** Versions of the client, for statistics: `X-Client-Version`, `X-SDK-Version`. */
const OF_THE_CLIENT =
  /(?:^|-)(?:client|sdk|app|agent|lib|library|package|runtime|os|platform|language|browser|cli|ui|frontend|build)-version$/;

/** Members of the families above that identify, time or trace one request and do not change what it does. */
const HARMLESS =
  /^(?:x-amz-(?:date|content-sha256|security-token|user-agent|cf-id|id-2|request-id|expected-bucket-owner-trace)|x-amzn-(?:trace-id|requestid)|x-ms-(?:date|client-request-id|return-client-request-id|client-session-id|useragent|user-agent|correlation-.*|request-id|cv)|x-goog-(?:api-client|request-params|request-reason)|x-github-(?:request-id|delivery)|x-upload-id-trace|dav|sec-.*|mcp-.*|tus-extension)$/;

/** Whether a field changes what an upstream does. */
export function decidesEffect(name: string): boolean {
  const key = fieldKey(name);
  if (HARMLESS.test(key)) return false;
  return isListed(key) || (VERSION.test(key) && !OF_THE_CLIENT.test(key));
}

/** Fields that are never forwarded, or that say nothing about the call: nobody needs to hear of them. */
const UNREMARKABLE =
  /^(?:host|content-length|expect|authorization|dpop|cookie2?|traceparent|tracestate|baggage|b3|x-b3-.*|uber-trace-id|countersign-.*|x-countersign-.*|user-agent|accept-encoding|accept-charset|origin|referer|date|priority|dnt|cache-control|pragma|save-data|sec-.*|via|forwarded|x-forwarded-.*|x-request-id|x-correlation-id|x-stainless-.*|amz-sdk-.*|x-amz-(?:date|content-sha256|security-token|user-agent))$/;

export interface LeftBehind {
  /** Names of the agent's fields that will not travel with the held call, for people and for the agent. */
  readonly names: readonly string[];
  /** The names among them without which it would be another call. */
  readonly deciding: readonly string[];
}

const NOTHING: LeftBehind = { names: [], deciding: [] };

/**
 * The agent's fields that a held call would lose because its approval does not bind them. `armed`: fields that say who
 * is asking are dropped from allowed calls too.
 */
export function leftBehind(
  headers: HeaderList,
  bound: HeaderList,
  agentToken: string | undefined,
  armed: boolean,
): LeftBehind {
  const names = new Set<string>();
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (name !== agentToken && !UNREMARKABLE.test(name) && header(bound, name) === undefined) names.add(name);
  }
  if (names.size === 0) return NOTHING;
  const deciding = [...names].filter((name) =>
    carriesIdentity(name) ? !armed && !NEVER.test(name) : decidesEffect(name),
  );
  // A preference that is meant for the gateway alone is not lost.
  return {
    names: [...names].filter((name) => name !== 'prefer'),
    deciding: deciding.filter((name) => name !== 'prefer'),
  };
}

/** Credentials that no call of this agent forwards. */
const NEVER = /token|key|auth|cookie|cert|secret|^x-(?:forwarded|envoy)-/;
