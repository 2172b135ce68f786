// AWS STS as far as AssumeRoleWithWebIdentity goes, from its API reference: the form's members and their bounds are
// checked, the answer is the XML of the reference. It does not check the web identity token's signature and does not
// judge policies: it keeps them for the test.

import { randomBytes } from 'node:crypto';
import { type IssuerReply, type IssuerServer, startIssuerServer } from './issuer-server.ts';

export interface StsServer extends IssuerServer {
  /** The parameters of every session that was made. */
  readonly sessions: readonly Readonly<Record<string, string>>[];
  /** Every secret access key that was made. */
  readonly secrets: readonly string[];
  /** The secret access key of a session, by its access key id. */
  secretOf(accessKeyId: string): string | undefined;
  /** Alters the XML of answers; a text that begins with a status, like `403 <…>`, becomes a refusal. */
  alter(how: (xml: string) => string): void;
}

const MEMBERS = ['Action', 'DurationSeconds', 'Policy', 'RoleArn', 'RoleSessionName', 'Version', 'WebIdentityToken'];

export async function startSts(): Promise<StsServer> {
  const sessions: Record<string, string>[] = [];
  const secrets = new Map<string, string>();
  let alter = (xml: string) => xml;

  const server = await startIssuerServer(({ method, path, headers, body }): IssuerReply => {
    const form = Object.fromEntries(new URLSearchParams(body));
    const fault = faultOf(form);
    if (method !== 'POST' || path !== '/' || headers['content-type'] !== 'application/x-www-form-urlencoded')
      return refusal(400, 'InvalidAction');
    // Unsigned: the caller has nothing to sign with yet.
    if (headers.authorization !== undefined) return refusal(400, 'InvalidClientTokenId');
    if (fault !== undefined) return refusal(400, fault);
    if (form.WebIdentityToken !== 'web-identity-token-literal') return refusal(400, 'InvalidIdentityToken');
    sessions.push(form);
    const accessKeyId = `ASIA${randomBytes(8).toString('hex').toUpperCase()}`;
    const secretAccessKey = randomBytes(30).toString('base64');
    secrets.set(accessKeyId, secretAccessKey);
    const [, , , , account, role = ''] = (form.RoleArn ?? '').split(':');
    const xml = alter(`<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult>
    <SubjectFromWebIdentityToken>countersign</SubjectFromWebIdentityToken>
    <Audience>sts.amazonaws.com</Audience>
    <AssumedRoleUser>
      <Arn>arn:aws:sts::${account}:assumed-role/${role.split('/').at(-1)}/${form.RoleSessionName}</Arn>
      <AssumedRoleId>AROACLKWSDQRAOEXAMPLE:${form.RoleSessionName}</AssumedRoleId>
    </AssumedRoleUser>
    <Credentials>
      <SessionToken>${randomBytes(60).toString('base64')}</SessionToken>
      <SecretAccessKey>${secretAccessKey}</SecretAccessKey>
      <Expiration>${new Date(Date.now() + Number(form.DurationSeconds) * 1000).toISOString()}</Expiration>
      <AccessKeyId>${accessKeyId}</AccessKeyId>
    </Credentials>
    <PackedPolicySize>6</PackedPolicySize>
  </AssumeRoleWithWebIdentityResult>
  <ResponseMetadata><RequestId>ad4156e9-bce1-11e2-82e6-6b6efEXAMPLE</RequestId></ResponseMetadata>
</AssumeRoleWithWebIdentityResponse>`);
    return { status: 200, type: 'text/xml', body: xml };
  });
  return {
    ...server,
    sessions,
    get secrets() {
      return [...secrets.values()];
    },
    secretOf: (accessKeyId) => secrets.get(accessKeyId),
    alter(how) {
      alter = how;
    },
  };
}

function faultOf(form: Readonly<Record<string, string>>): string | undefined {
  if (Object.keys(form).some((name) => !MEMBERS.includes(name)) || form.Version !== '2011-06-15')
    return 'ValidationError';
  if (form.Action !== 'AssumeRoleWithWebIdentity') return 'InvalidAction';
  if (
    !/^[\w+=,.@-]{2,64}$/.test(form.RoleSessionName ?? '') ||
    !/^arn:aws:iam::\d{12}:role\/.{1,64}$/.test(form.RoleArn ?? '')
  )
    return 'ValidationError';
  const seconds = Number(form.DurationSeconds);
  if (!Number.isInteger(seconds) || seconds < 900 || seconds > 43_200) return 'ValidationError';
  const policy = form.Policy ?? '';
  if (policy.length > 2048) return 'PackedPolicyTooLarge';
  try {
    const { Version, Statement } = JSON.parse(policy);
    return Version === '2012-10-17' && Array.isArray(Statement) && Statement.length > 0
      ? undefined
      : 'MalformedPolicyDocument';
  } catch {
    return 'MalformedPolicyDocument';
  }
}

function refusal(status: number, code: string): IssuerReply {
  const body = `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${code}</Code><Message>token web-identity-token-literal</Message></Error></ErrorResponse>`;
  return { status, type: 'text/xml', body };
}
