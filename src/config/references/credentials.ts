// Credentials that the gateway signs itself need its keys.

import type { Fault } from '../../settings/faults.ts';
import type { Sections } from './sections.ts';

export function* checkCredentials({ credentials, signing }: Sections): Generator<Fault> {
  if (signing !== undefined) return;
  const message = 'Set `signing.issuer`: this credential needs the gateway to sign tokens.';
  for (const [name, credential] of Object.entries(credentials)) {
    if (credential?.type === 'signed-jwt') yield { path: ['credentials', name, 'type'], message };
    for (const key of ['assertion', 'subjectToken', 'actorToken'] as const) {
      const source = (credential as { readonly [member in typeof key]?: string | object } | undefined)?.[key];
      if (typeof source === 'object' && 'gateway' in source)
        yield { path: ['credentials', name, key, 'gateway'], message };
    }
  }
}
