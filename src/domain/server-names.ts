// How the servers that share one MCP mount are told apart: the names under which the gateway and the agent know a
// server, its tools and prompts, its resources, and the numbers of its requests. Every form has exactly one reading,
// because a server's name holds neither `_`, `+` nor `/`.

/** A server's name under `servers`. */
export const SERVER_NAME = /^[a-z][a-z0-9-]{0,31}$/;

/**
 * The upstream that one server of a mount is to the gateway: what rules are looked up for, credentials are shared for,
 * and approvals bind.
 */
export const sharedServerName = (mount: string, server: string): string => `${mount}/${server}`;

/** The mount of an upstream, and the server where several share it. */
export function readUpstreamName(upstream: string): { readonly mount: string; readonly server?: string } {
  const slash = upstream.indexOf('/');
  return slash === -1 ? { mount: upstream } : { mount: upstream.slice(0, slash), server: upstream.slice(slash + 1) };
}

/**
 * A tool or prompt of an upstream as agents call it: `server__name` on a mount of several servers, else its own name.
 */
export function agentName(upstream: string, name: string): string {
  const { server } = readUpstreamName(upstream);
  return server === undefined ? name : namedBy(server, name);
}

export const namedBy = (server: string, name: string): string => `${server}__${name}`;

/** `server__name` read back. The first `__` is the separator: a server's name has none. */
export function readAgentName(name: string): { readonly server: string; readonly own: string } | undefined {
  return split(name, '__');
}

/**
 * A resource's URI, or URI template, as agents see it: the server becomes part of the scheme, so the rest still expands
 * and resolves as it did.
 */
export const agentUri = (server: string, uri: string): string => `${server}+${uri}`;

/** A resource of an upstream as agents see it. */
export function agentUriOf(upstream: string, uri: string): string {
  const { server } = readUpstreamName(upstream);
  return server === undefined ? uri : agentUri(server, uri);
}

export function readAgentUri(uri: string): { readonly server: string; readonly own: string } | undefined {
  return split(uri, '+');
}

/** The number of a server's request, or its progress token, as the agent sees it: two servers may use the same. */
export const agentId = (server: string, id: string | number): string => `${server}/${JSON.stringify(id)}`;

export function readAgentId(id: unknown): { readonly server: string; readonly own: string | number } | undefined {
  const parts = typeof id === 'string' ? split(id, '/') : undefined;
  if (parts === undefined) return undefined;
  try {
    const own: unknown = JSON.parse(parts.own);
    // Only what agentId could have made: one reading, one writing.
    const known = typeof own === 'string' || Number.isSafeInteger(own) ? (own as string | number) : undefined;
    return known === undefined || agentId(parts.server, known) !== id
      ? undefined
      : { server: parts.server, own: known };
  } catch {
    return undefined;
  }
}

function split(text: string, separator: string): { readonly server: string; readonly own: string } | undefined {
  const at = text.indexOf(separator);
  const server = at === -1 ? '' : text.slice(0, at);
  const own = text.slice(at + separator.length);
  return SERVER_NAME.test(server) && own !== '' ? { server, own } : undefined;
}
