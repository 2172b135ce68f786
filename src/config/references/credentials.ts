// Credentials that the gateway signs itself need its keys.

import { signedByGateway } from '../../credentials/types.ts';
import type { Fault } from '../../settings/faults.ts';
import type { Sections } from './sections.ts';

export function* checkCredentials({ credentials, signing }: Sections): Generator<Fault> {
  if (signing !== undefined) return;
  const message = 'Set `signing.issuer`: this credential needs the gateway to sign tokens.';
  for (const [name, credential] of Object.entries(credentials)) {
    const places = credential === undefined ? [] : signedByGateway(credential);
    for (const place of places) yield { path: ['credentials', name, ...place], message };
  }
}
