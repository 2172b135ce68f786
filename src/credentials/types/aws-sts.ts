// Credential type `aws-sts`: a role's session of its own, confined by a session policy that the rule spells out; its
// keys sign the call (AssumeRoleWithWebIdentity, then Signature Version 4). Trusts the configured STS. Refuses to ask
// for all that the role may do only because nobody named less. Refuses sessions of another role, under another name or
// of longer life than asked for. AWS cannot end a session early: revocability none.

import { z } from 'zod';
import { sha256 } from '../../domain/canonical.ts';
import type { Grant, Minted } from '../../domain/credential.ts';
import type { JsonObject } from '../../domain/json.ts';
import { Secret } from '../../domain/secret.ts';
import { secureUrl } from '../../settings/addresses.ts';
import { type ConfigContext, secret } from '../../settings/paths-and-secrets.ts';
import { duration } from '../../settings/units.ts';
import { awsInjection } from '../aws-signature.ts';
import { UnwantedGrant, unavailable } from '../broker-provider.ts';
import { credentialType, describeExpiring, type SettingsOf } from '../credential-type.ts';
import { callIssuer, type IssuerAnswer, issuerAccess } from '../issuer-call.ts';
import { readNames, refuseUnknown } from '../scope-values.ts';
import { issuerAuthority, issuerTimeout } from '../settings.ts';

const settings = (context: ConfigContext) =>
  z
    .strictObject({
      type: z.literal('aws-sts'),
      roleArn: z
        .string()
        .regex(/^arn:[a-z0-9-]+:iam::\d{12}:role\/[\w+=,.@/-]+$/, { error: 'Write arn:aws:iam::ACCOUNT:role/NAME.' }),
      webIdentityToken: secret(context).describe('The gateway’s own OIDC token, which the role’s trust policy accepts'),
      region: z.string().regex(/^[a-z0-9-]{1,40}$/),
      service: z
        .string()
        .regex(/^[a-z0-9-]{1,60}$/)
        .describe('Signing name of the upstream’s service, like s3 or dynamodb'),
      endpoint: secureUrl().exactOptional().describe('Of STS; default https://sts.REGION.amazonaws.com'),
      ca: issuerAuthority(context),
      duration: duration({ least: '15m', most: '12h' })
        .prefault('15m')
        .describe('How long a session lives; default 15m, which is the least'),
      actions: z
        .array(z.string().min(1))
        .min(1)
        .exactOptional()
        .describe('Session policy where the rule says nothing: actions'),
      resources: z
        .array(z.string().min(1))
        .min(1)
        .exactOptional()
        .describe('Session policy where the rule says nothing: resources'),
      unsignedPayload: z
        .boolean()
        .default(false)
        .describe('Lets streamed bodies pass unsigned, which only S3 accepts; default false'),
      timeout: issuerTimeout(),
    })
    .transform(({ timeout: timeoutMs, duration: durationMs, ...rest }) => ({ ...rest, timeoutMs, durationMs }));

type Settings = SettingsOf<typeof settings>;

const VERSION = '2011-06-15';
const CLOCK_SLACK_MS = 120_000;
/** AWS refuses a longer session policy. */
const LONGEST_POLICY = 2048;

const ACTION = /^(?:\*|[a-z0-9-]{1,60}:[A-Za-z0-9*?]{1,120})$/;
const RESOURCE = /^(?:\*|arn:[\x21\x23-\x5b\x5d-\x7e]{1,1500})$/;

/** What the signature brings anew for each sending. */
const OWN_FIELDS = ['x-amz-date', 'x-amz-content-sha256', 'x-amz-security-token'];

export const awsSts = credentialType({
  name: 'aws-sts',
  settings,
  create(own, tools) {
    const { type, roleArn, region, durationMs, endpoint = `https://sts.${region}.amazonaws.com` } = own;
    const access = issuerAccess(own, tools);
    return {
      type,
      shareable: true,
      async mint(grant) {
        const policy = sessionPolicy(own, grant.plan.scope);
        const sessionName = nameSession(grant);
        const answer = await callIssuer(access, {
          method: 'POST',
          url: endpoint,
          headers: { accept: 'text/xml', 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({
            Action: 'AssumeRoleWithWebIdentity',
            Version: VERSION,
            RoleArn: roleArn,
            RoleSessionName: sessionName,
            WebIdentityToken: own.webIdentityToken.read().reveal(),
            Policy: JSON.stringify(policy),
            DurationSeconds: String(Math.floor(durationMs / 1000)),
          }).toString(),
        });
        if (answer.status !== 200) throw unavailable(`AWS STS refused: ${errorCodeOf(answer)}.`);
        return accept(answer, own, sessionName, grant.now + durationMs, policy);
      },
    };
  },
  clientOf: ({ roleArn }) => roleArn,
  describe: ({ type }) => describeExpiring(type),
  requestSigning: ({ unsignedPayload }) => ({
    // Fields that are named x-amz-* speak to AWS: they are signed, so people approve them too.
    boundFields: ['x-amz-*'],
    ownFields: OWN_FIELDS,
    signsBodies: !unsignedPayload,
  }),
});

/**
 * One statement: what the rule, or else the configuration, allows. Throws `credential_unavailable` when neither does.
 */
function sessionPolicy({ actions, resources }: Settings, scope: JsonObject): JsonObject {
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
  options: Settings,
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
