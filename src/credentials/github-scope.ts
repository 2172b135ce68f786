// What the gateway asks GitHub for in an installation token, and whether the answer kept to it. The configuration sets
// the bounds, and a rule may only narrow them. Nothing is asked for by omission: `all` repositories and every
// permission must be written down.

import { isJsonObject, type Json, type JsonObject } from '../domain/json.ts';
import { unavailable } from './broker-provider.ts';
import { readNames, refuseUnknown, tooMuch, unfit } from './scope-values.ts';

export interface GithubBounds {
  /**
   * Repository names, as `name` or `owner/name`; `all` for whatever the installation has. Absent: each rule must say.
   */
  readonly repositories?: 'all' | readonly string[];
  /** The most of each permission, for example `{ contents: "write" }`. Absent: each rule must say. */
  readonly permissions?: Readonly<Record<string, string>>;
}

export interface GitHubRequest {
  readonly repositories: 'all' | readonly string[];
  readonly permissions: Readonly<Record<string, string>>;
}

const LEVELS = ['read', 'write', 'admin'];
const REPOSITORY = /^(?:[A-Za-z0-9-]{1,100}\/)?(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}$/;
const LARGEST_LIST = 500;

/**
 * Throws `credential_unavailable` when the rule asks for more than the configuration, for something unknown, or nobody
 * says what.
 */
export function narrowGithub(bounds: GithubBounds, scope: JsonObject): GitHubRequest {
  refuseUnknown(scope, ['repositories', 'permissions']);
  const repositories =
    scope.repositories === 'all' ? 'all' : (readNames(scope, 'repositories', REPOSITORY) ?? bounds.repositories);
  const permissions = scope.permissions === undefined ? bounds.permissions : readPermissions(scope.permissions);
  if (repositories === undefined)
    throw unavailable(
      'Neither the rule nor the credential says for which repositories; write all where all are meant.',
    );
  if (permissions === undefined)
    throw unavailable('Neither the rule nor the credential says which permissions to ask for.');
  if (repositories.length > LARGEST_LIST) throw unfit('repositories');
  if (!within(repositories, bounds.repositories)) throw tooMuch('repositories');
  if (bounds.permissions !== undefined && !covers(bounds.permissions, permissions)) throw tooMuch('permissions');
  return { repositories, permissions };
}

/** The request's body. GitHub takes bare names: the owner is the installation's account. */
export function scopeBody({ repositories, permissions }: GitHubRequest): JsonObject {
  return {
    permissions: { ...permissions },
    ...(repositories !== 'all' && { repositories: repositories.map(bareName) }),
  };
}

/** Says as a sentence how the answer is broader than what was asked for; undefined when it is not. */
export function exceeds(asked: GitHubRequest, answer: JsonObject): string | undefined {
  const { permissions, repositories, repository_selection: selection } = answer;
  if (!isJsonObject(permissions)) return 'GitHub does not say which permissions the token has.';
  const granted = Object.entries(permissions).filter(
    ([name]) => name !== 'metadata' || asked.permissions.metadata !== undefined,
  );
  const levels = Object.fromEntries(granted.map(([name, level]) => [name, typeof level === 'string' ? level : '']));
  // Every installation token may read metadata; it may not write it.
  if (permissions.metadata !== undefined && permissions.metadata !== 'read' && asked.permissions.metadata === undefined)
    return TOO_MANY_PERMISSIONS;
  if (!covers(asked.permissions, levels)) return TOO_MANY_PERMISSIONS;
  if (asked.repositories === 'all') return undefined;
  if (selection !== 'selected' || !Array.isArray(repositories))
    return 'GitHub does not say that the token is confined to the repositories asked for.';
  const wanted = asked.repositories;
  return repositories.every((one) => wanted.some((name) => isNamed(one, name)))
    ? undefined
    : 'GitHub made a token for other repositories than those asked for.';
}

const TOO_MANY_PERMISSIONS = 'GitHub made a token with more permissions than were asked for.';

function within(repositories: GitHubRequest['repositories'], most: GithubBounds['repositories']): boolean {
  if (most === undefined || most === 'all') return true;
  if (repositories === 'all') return false;
  return repositories.every((name) =>
    most.some(
      (allowed) => bareName(allowed).toLowerCase() === bareName(name).toLowerCase() && sameOwner(allowed, name),
    ),
  );
}

/** Owners are compared only where both names have one. */
function sameOwner(one: string, other: string): boolean {
  const [a, b] = [ownerOf(one), ownerOf(other)];
  return a === undefined || b === undefined || a.toLowerCase() === b.toLowerCase();
}

function isNamed(repository: Json, name: string): boolean {
  if (!isJsonObject(repository) || typeof repository.name !== 'string') return false;
  if (repository.name.toLowerCase() !== bareName(name).toLowerCase()) return false;
  return (
    ownerOf(name) === undefined ||
    (typeof repository.full_name === 'string' && repository.full_name.toLowerCase() === name.toLowerCase())
  );
}

function bareName(name: string): string {
  return name.slice(name.indexOf('/') + 1);
}

function ownerOf(name: string): string | undefined {
  return name.includes('/') ? name.slice(0, name.indexOf('/')) : undefined;
}

function covers(most: Readonly<Record<string, string>>, some: Readonly<Record<string, string>>): boolean {
  return Object.entries(some).every(
    ([name, level]) => LEVELS.includes(level) && Object.hasOwn(most, name) && rank(level) <= rank(most[name]),
  );
}

function rank(level: string | undefined): number {
  return LEVELS.indexOf(level ?? '');
}

function readPermissions(value: Json): Readonly<Record<string, string>> {
  const entries = isJsonObject(value) ? Object.entries(value) : [];
  const known = entries.filter(
    (entry): entry is [string, string] => /^[a-z_]{1,60}$/.test(entry[0]) && LEVELS.includes(entry[1] as string),
  );
  if (known.length === 0 || known.length !== entries.length) throw unfit('permissions');
  return Object.fromEntries(known);
}
