// GitHub as far as installation tokens go, driven by GitHub's own OpenAPI description (@octokit/openapi): a request
// that the description does not allow is a failed test, and so is an answer of this server that it does not allow.
// Beyond the description it keeps to GitHub's documented rules: who signed, how long the App's JWT may live, 422 for
// what the installation does not have, 401 for tokens that are gone. It does not know organisations' policies, rate
// limits, or permissions that imply others.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Ajv, type ValidateFunction } from 'ajv';
import formats from 'ajv-formats';
import { jwtVerify } from 'jose';
import { type IssuerReply, type IssuerRequest, type IssuerServer, startIssuerServer } from './issuer-server.ts';

export const APP_ID = 31337;
export const INSTALLATION_ID = 42;
const OWNER = 'acme';
const REPOSITORIES = ['ledger', 'website', 'archive'];
const PERMISSIONS: Readonly<Record<string, string>> = {
  administration: 'write',
  contents: 'write',
  issues: 'write',
  metadata: 'read',
};
const LEVELS = ['read', 'write', 'admin'];

export interface GithubServer extends IssuerServer {
  /** PEM (PKCS#1, as GitHub hands it out) of the App's key. */
  readonly privateKey: string;
  /** Every token made, in order. */
  readonly made: readonly string[];
  /** The bodies of the requests that made them. */
  readonly asked: readonly Readonly<Record<string, unknown>>[];
  isAlive(token: string): boolean;
  /** What the description or GitHub's rules forbid, in words; a test expects none. */
  readonly violations: readonly string[];
  /** Alters answers after a real token was made. */
  alter(how: (answer: Record<string, unknown>) => Record<string, unknown>): void;
}

interface Operation {
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema: object }>> }>
  >;
}

export async function startGithub(): Promise<GithubServer> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const description = readDescription();
  const made: string[] = [];
  const asked: Record<string, unknown>[] = [];
  const alive = new Set<string>();
  const violations: string[] = [];
  let alter = (answer: Record<string, unknown>) => answer;

  const complain = (words: string): IssuerReply => {
    violations.push(words);
    return { status: 400, body: { message: words } };
  };

  async function create(request: IssuerRequest): Promise<IssuerReply> {
    const fault = await appFault(request, publicKey);
    if (fault !== undefined)
      return { status: 401, body: { message: fault, documentation_url: 'https://docs.github.com/rest' } };
    const body: Record<string, unknown> = request.body === '' ? {} : JSON.parse(request.body);
    if (!description.request(body as unknown))
      return complain(`the request does not fit the description: ${JSON.stringify(description.request.errors)}`);
    const { repositories = REPOSITORIES, permissions = PERMISSIONS } = body as {
      repositories?: string[];
      permissions?: Record<string, string>;
    };
    const missing =
      repositories.some((name) => !REPOSITORIES.includes(name)) ||
      Object.entries(permissions).some(([name, level]) => !has(name, level));
    if (missing)
      return {
        status: 422,
        body: {
          message:
            'There is at least one repository that does not exist or is not accessible to the parent installation.',
        },
      };
    const token = `ghs_${randomBytes(18).toString('hex')}`;
    made.push(token);
    asked.push(body);
    alive.add(token);
    const answer = {
      token,
      expires_at: new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+Z$/, 'Z'),
      permissions: { metadata: 'read', ...permissions },
      repository_selection: body.repositories === undefined ? 'all' : 'selected',
      ...(body.repositories !== undefined && {
        repositories: repositories.map((name, index) => description.repository(name, index)),
      }),
    };
    if (!description.answer(answer))
      violations.push(
        `the server’s own answer does not fit the description: ${JSON.stringify(description.answer.errors)}`,
      );
    return { status: 201, body: alter(answer) };
  }

  function remove(request: IssuerRequest): IssuerReply {
    const token = request.headers.authorization?.replace(/^Bearer /, '') ?? '';
    return alive.delete(token) ? { status: 204 } : { status: 401, body: { message: 'Bad credentials' } };
  }

  const server = await startIssuerServer((request) => {
    if (request.headers['user-agent'] === undefined) return complain('GitHub refuses requests without a User-Agent');
    if (request.headers.accept !== 'application/vnd.github+json')
      return complain('the Accept field is not the recommended one');
    if (request.headers['x-github-api-version'] !== '2022-11-28') return complain('no version of the API is named');
    if (request.method === 'POST' && request.path === `/app/installations/${INSTALLATION_ID}/access_tokens`)
      return create(request);
    if (request.method === 'DELETE' && request.path === '/installation/token') return remove(request);
    if (/^\/app\/installations\/\d+\/access_tokens$/.test(request.path))
      return { status: 404, body: { message: 'Integration not found' } };
    return complain(`the description knows no ${request.method} ${request.path}`);
  });

  return {
    ...server,
    privateKey: privateKey.export({ type: 'pkcs1', format: 'pem' }) as string,
    made,
    asked,
    violations,
    isAlive: (token) => alive.has(token),
    alter(how) {
      alter = how;
    },
  };
}

function has(name: string, level: string): boolean {
  return LEVELS.indexOf(PERMISSIONS[name] ?? '') >= LEVELS.indexOf(level);
}

/** "Generating a JSON Web Token (JWT) for a GitHub App": RS256, issued in the past, at most ten minutes. */
async function appFault({ headers }: IssuerRequest, key: Parameters<typeof jwtVerify>[1]): Promise<string | undefined> {
  try {
    const { payload } = await jwtVerify(headers.authorization?.replace(/^Bearer /, '') ?? '', key as never, {
      algorithms: ['RS256'],
      issuer: String(APP_ID),
    });
    const now = Date.now() / 1000;
    if (payload.iat === undefined || payload.iat > now || payload.exp === undefined)
      return 'iat or exp is missing or in the future';
    return payload.exp - payload.iat > 600 || payload.exp > now + 600 ? 'exp is too far in the future' : undefined;
  } catch {
    return 'A JSON web token could not be decoded';
  }
}

interface Examples {
  readonly default: { readonly value: { readonly repositories: readonly Record<string, unknown>[] } };
}

interface Description {
  readonly request: ValidateFunction;
  readonly answer: ValidateFunction;
  repository(name: string, index: number): unknown;
}

let known: Description | undefined;

function readDescription(): Description {
  if (known !== undefined) return known;
  const file = createRequire(import.meta.url).resolve('@octokit/openapi/generated/api.github.com.deref.json');
  const { paths } = JSON.parse(readFileSync(file, 'utf8'));
  const operation = paths['/app/installations/{installation_id}/access_tokens'].post as Operation;
  if (paths['/installation/token'].delete.responses['204'] === undefined)
    throw new Error('the description has changed');
  const content = operation.responses['201']?.content?.['application/json'] as { schema: object; examples: Examples };
  const [example] = content.examples.default.value.repositories;
  const ajv = new Ajv({ strict: false, allErrors: true });
  formats.default(ajv);
  known = {
    request: ajv.compile(closed(operation.requestBody?.content['application/json']?.schema ?? {})),
    answer: ajv.compile(content.schema),
    repository: (name, index) => ({ ...example, id: index + 1, name, full_name: `${OWNER}/${name}` }),
  };
  return known;
}

/** The description leaves unknown members open; here they count as mistakes. */
function closed(schema: object): object {
  if (!('properties' in schema)) return schema;
  const properties = Object.fromEntries(
    Object.entries(schema.properties as Record<string, object>).map(([name, inner]) => [name, closed(inner)]),
  );
  return { ...schema, properties, additionalProperties: false };
}
