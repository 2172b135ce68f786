// Provider `aws-sts`: a role's session of its own, confined by a session policy that the rule spells out; its keys sign
// the call (AssumeRoleWithWebIdentity, then Signature Version 4). Trusts the configured STS. Refuses to take the role's
// whole power by omission, and sessions of another role, under another name or of longer life than asked for. AWS
// cannot end a session early: revocability none.

import { sha256 } from '../domain/canonical.ts';
import type { Grant, Minted } from '../domain/credential.ts';
import type { JsonObject } from '../domain/json.ts';
import { Secret, type SecretSource } from '../domain/secret.ts';
import { type AwsSigning, awsInjection } from './aws-signature.ts';
import { requireProtected } from './bounded-fetch.ts';
import { type BrokerProvider, UnwantedGrant, unavailable } from './broker-provider.ts';
import { callIssuer, type IssuerAccess, type IssuerAnswer } from './issuer-call.ts';
import { readNames, refuseUnknown } from './scope-values.ts';

export type AwsStsOptions = IssuerAccess &
  AwsSigning & {
    readonly roleArn: string;
    /** The gateway's own OIDC token, whose issuer the role's trust policy names. Read at each mint. */
    readonly webIdentityToken: SecretSource;
    /** Default `https://sts.<region>.amazonaws.com`. */
    readonly endpoint?: string;
    /** How long a session lives, ms: from 900,000 (also the default) to what the role allows. */
    readonly durationMs?: number;
    /** What the session policy allows where the rule says nothing. The role itself stays the upper bound. */
    readonly actions?: readonly string[];
    readonly resources?: readonly string[];
  };

const VERSION = '2011-06-15';
const SHORTEST_MS = 900_000;
const CLOCK_SLACK_MS = 120_000;
/** AWS refuses a longer session policy. */
const LONGEST_POLICY = 2048;

const ACTION = /^(?:\*|[a-z0-9-]{1,60}:[A-Za-z0-9*?]{1,120})$/;
const RESOURCE = /^(?:\*|arn:[\x21\x23-\x5b\x5d-\x7e]{1,1500})$/;

/** Throws TypeError for an endpoint that is neither https nor on loopback. */
export function createAwsStsProvider(options: AwsStsOptions): BrokerProvider {
  const { roleArn, region, durationMs = SHORTEST_MS, endpoint = `https://sts.${region}.amazonaws.com` } = options;
  requireProtected(endpoint);
  return {
    type: 'aws-sts',
    shareable: true,
    async mint(grant) {
      const policy = sessionPolicy(options, grant.plan.scope);
      const sessionName = nameSession(grant);
      const answer = await callIssuer(options, {
        method: 'POST',
        url: endpoint,
        headers: { accept: 'text/xml', 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({
          Action: 'AssumeRoleWithWebIdentity',
          Version: VERSION,
          RoleArn: roleArn,
          RoleSessionName: sessionName,
          WebIdentityToken: options.webIdentityToken.read().reveal(),
          Policy: JSON.stringify(policy),
          DurationSeconds: String(Math.floor(durationMs / 1000)),
        }).toString(),
      });
      if (answer.status !== 200) throw unavailable(`AWS STS refused: ${errorCodeOf(answer)}.`);
      return accept(answer, options, sessionName, grant.now + durationMs, policy);
    },
  };
}

/**
 * One statement: what the rule, or else the configuration, allows. Throws `credential_unavailable` when neither does.
 */
function sessionPolicy({ actions, resources }: AwsStsOptions, scope: JsonObject): JsonObject {
  refuseUnknown(scope, ['actions', 'resources']);
  const Action = readNames(scope, 'actions', ACTION) ?? actions;
  const Resource = readNames(scope, 'resources', RESOURCE) ?? resources;
  if (Action === undefined || Resource === undefined) {
    throw unavailable('Neither the rule nor the credential says which actions on which resources the session may use.');
  }
  const policy = {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: [...Action], Resource: [...Resource] }],
  };
  if (JSON.stringify(policy).length > LONGEST_POLICY)
    throw unavailable('The session policy is longer than AWS takes (2,048 characters).');
  return policy;
}

/** Shows up in CloudTrail: the hold of an approved call, else a name that stays the same per principal. */
function nameSession({ holdId, principal }: Grant): string {
  const name = holdId ?? `countersign-${sha256(principal.id).slice(0, 32)}`;
  if (!/^[\w+=,.@-]{2,64}$/.test(name)) throw unavailable('The hold’s id cannot name an AWS session.');
  return name;
}

function accept(
  { text }: IssuerAnswer,
  options: AwsStsOptions,
  sessionName: string,
  latest: number,
  policy: JsonObject,
): Minted {
  const accessKeyId = element(text, 'AccessKeyId');
  const secretAccessKey = element(text, 'SecretAccessKey');
  const sessionToken = element(text, 'SessionToken');
  const expiresAt = Date.parse(element(text, 'Expiration') ?? '');
  if (
    accessKeyId === undefined ||
    secretAccessKey === undefined ||
    sessionToken === undefined ||
    Number.isNaN(expiresAt)
  ) {
    throw unavailable('AWS STS gave an answer without complete credentials.');
  }
  if (![accessKeyId, secretAccessKey, sessionToken].every((part) => /^[\x21-\x7e]+$/.test(part))) {
    throw unavailable('AWS STS gave credentials that cannot be put into a header.');
  }
  if (!isSessionOf(options.roleArn, sessionName, element(text, 'Arn'))) {
    throw new UnwantedGrant(
      'credential_too_broad',
      'AWS STS gave a session of another role or name than the one asked for.',
      { expiresAt },
    );
  }
  if (expiresAt > latest + CLOCK_SLACK_MS)
    throw new UnwantedGrant('credential_too_broad', 'AWS STS gave a session that lives longer than asked for.', {
      expiresAt,
    });
  const keys = { accessKeyId, secretAccessKey: new Secret(secretAccessKey), sessionToken: new Secret(sessionToken) };
  return {
    injection: awsInjection(keys, options),
    secrets: [keys.secretAccessKey, keys.sessionToken],
    expiresAt,
    revocability: 'none',
    granted: { role: options.roleArn, session: sessionName, policy },
  };
}

/** `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION` for `arn:aws:iam::ACCOUNT:role/path/ROLE`. */
function isSessionOf(roleArn: string, sessionName: string, arn: string | undefined): boolean {
  const [, partition, , , account, role = ''] = roleArn.split(':');
  return (
    arn === `arn:${partition}:sts::${account}:assumed-role/${role.slice(role.lastIndexOf('/') + 1)}/${sessionName}`
  );
}

/**
 * The text of an element that occurs exactly once and holds nothing but text. What STS puts there needs no entities.
 */
function element(xml: string, name: string): string | undefined {
  const found = [...xml.matchAll(new RegExp(`<${name}>\\s*([^<>&]*?)\\s*</${name}>`, 'g'))];
  return found.length === 1 && found[0]?.[1] !== '' ? found[0]?.[1] : undefined;
}

function errorCodeOf({ status, text }: IssuerAnswer): string {
  const code = element(text, 'Code');
  return code !== undefined && /^[A-Za-z.]{1,60}$/.test(code) ? code : `status ${status}`;
}
