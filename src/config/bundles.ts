// Where a SPIFFE trust domain's bundle comes from: a file, the Workload API, or a bundle endpoint. One source per trust
// domain; nothing is merged.

import { z } from 'zod';
import { httpUrl, workloadApiAddress } from '../settings/addresses.ts';
import { type ConfigContext, file } from '../settings/paths-and-secrets.ts';

const spiffeId = () =>
  z.string().regex(/^spiffe:\/\/[a-z0-9._-]{1,255}(\/[A-Za-z0-9._-]+)+$/, {
    error: 'Write a SPIFFE ID, like spiffe://prod.example.org/server.',
  });

const secureEndpoint = () =>
  httpUrl().refine(
    (text) => text.startsWith('https://'),
    'Write an https URL: a bundle endpoint is reached by https only.',
  );

interface BundleKeys {
  readonly file?: string;
  readonly workloadApi?: string;
  readonly endpoint?: string;
  readonly profile?: 'https_web' | 'https_spiffe';
  readonly spiffeId?: string;
  readonly bootstrap?: string;
}

type Bundle =
  | { readonly file: string }
  | { readonly workloadApi: string }
  | { readonly endpoint: string; readonly profile: 'https_web' }
  | {
      readonly endpoint: string;
      readonly profile: 'https_spiffe';
      readonly spiffeId: string;
      readonly bootstrap?: string;
    };

/** One source, and for an endpoint everything that says whom to believe there: nothing of it is guessed. */
function readBundle(
  { file: bundleFile, workloadApi: address, endpoint, profile, spiffeId: id, bootstrap }: BundleKeys,
  context: z.RefinementCtx,
): Bundle {
  const refuse = (path: string[], message: string): Bundle => {
    context.addIssue({ code: 'custom', path, message });
    return z.NEVER;
  };
  if ([bundleFile, address, endpoint].filter((source) => source !== undefined).length !== 1) {
    return refuse(
      [],
      'Write one source: `{ file: PATH }`, `{ workloadApi: ADDRESS }` or `{ endpoint: URL, profile: … }`.',
    );
  }
  if (endpoint === undefined) {
    if (profile !== undefined || id !== undefined || bootstrap !== undefined)
      return refuse([], 'Remove `profile`, `spiffeId` and `bootstrap`: they belong to an `endpoint`.');
    return bundleFile === undefined ? { workloadApi: address ?? '' } : { file: bundleFile };
  }
  if (profile === undefined)
    return refuse(['profile'], 'This key is required with `endpoint`. Write `https_web` or `https_spiffe`.');
  if (profile === 'https_spiffe') {
    return id === undefined
      ? refuse(
          ['spiffeId'],
          'This key is required with `https_spiffe`. Write the SPIFFE ID that the endpoint must have.',
        )
      : { endpoint, profile, spiffeId: id, ...(bootstrap !== undefined && { bootstrap }) };
  }
  if (id !== undefined || bootstrap !== undefined)
    return refuse(['profile'], 'Write `https_spiffe`, or remove `spiffeId` and `bootstrap`.');
  return { endpoint, profile };
}

export const bundle = (around: ConfigContext) =>
  z
    .strictObject({
      file: file(around).exactOptional().describe('SPIFFE trust bundle as a file, read again when it changes'),
      workloadApi: workloadApiAddress()
        .exactOptional()
        .describe('Workload API of this host’s agent: unix:///path or tcp://ip:port'),
      endpoint: secureEndpoint().exactOptional().describe('Bundle endpoint of a federated trust domain'),
      profile: z
        .enum(['https_web', 'https_spiffe'])
        .exactOptional()
        .describe('How the endpoint is trusted: by the Web PKI, or by its SPIFFE ID'),
      spiffeId: spiffeId().exactOptional().describe('With https_spiffe: who the endpoint must be'),
      bootstrap: file(around)
        .exactOptional()
        .describe(
          'With https_spiffe: the first bundle, as a file, unless another entry has the endpoint’s trust domain',
        ),
    })
    .transform(readBundle);
