// The sections of a file, as far as they could be read. References are checked on these, so that a slip in one entry does
// not hide the faults of the others.

import type { Config } from '../schema.ts';

export type Entries<T> = Readonly<Record<string, T | undefined>>;

/** An entry that has faults of its own is undefined, a missing section empty. */
export interface Sections {
  readonly listeners: Config['listeners'] | undefined;
  readonly identity: Config['identity'] | undefined;
  readonly reviewers: Config['reviewers'] | undefined;
  readonly upstreams: Entries<Config['upstreams'][string]>;
  readonly credentials: Entries<Config['credentials'][string]>;
  readonly signing?: Config['signing'] | undefined;
  readonly tiers: Entries<Config['tiers'][string]>;
  readonly meters: Entries<Config['meters'][string]>;
  readonly sensitivity: Config['sensitivity'];
  readonly destinations: Config['destinations'];
  readonly unclassified?: Config['unclassified'] | undefined;
  readonly taints: Entries<Config['taints'][string]>;
  readonly resources: readonly (Config['resources'][number] | undefined)[];
  readonly rules: readonly (Config['rules'][number] | undefined)[];
  readonly notifications: Config['notifications'] | undefined;
  readonly violations?: Config['violations'] | undefined;
}

/** Every upstream, and every server of a mount that several share, with its place in the file. */
export interface PlacedUpstream {
  readonly path: readonly string[];
  readonly url: string;
  readonly trust?: string;
  readonly credential?: string;
  readonly environment?: string;
  readonly tls?: Extract<Config['upstreams'][string], { readonly url: string }>['tls'];
  readonly toolChanges: 'allow' | 'deny' | { readonly hold: string };
}

export function destinationsOf(upstreams: Sections['upstreams']): readonly PlacedUpstream[] {
  return Object.entries(upstreams).flatMap(([name, upstream]): PlacedUpstream[] => {
    if (upstream === undefined) return [];
    if (!('servers' in upstream)) return [{ ...upstream, path: ['upstreams', name] }];
    return Object.entries(upstream.servers).map(([server, own]) => ({
      ...own,
      path: ['upstreams', name, 'servers', server],
    }));
  });
}
