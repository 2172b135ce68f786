// Where a SPIFFE trust domain's bundle comes from: a file, the Workload API, or a bundle endpoint. One source per trust
// domain; nothing is merged.

import { z } from 'zod';
import { httpUrl, workloadApiAddress } from '../../settings/addresses.ts';
import { type ConfigContext, file } from '../../settings/paths-and-secrets.ts';

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

/** Where a trust domain's bundle comes from: exactly one source. */
export type BundleSettings =
  /** A SPIFFE bundle in JWKS form. */
  | { readonly file: string }
  /** The Workload API of this host's agent. */
  | { readonly workloadApi: string }
  /** A bundle endpoint, trusted by the Web PKI. */
  | { readonly endpoint: string; readonly profile: 'https_web' }
  /**
   * A bundle endpoint with an X.509-SVID of its own. Who vouches for it at first: `bootstrap`, a file, or the entry of
   * the endpoint's trust domain.
   */
  | {
      readonly endpoint: string;
      readonly profile: 'https_spiffe';
      readonly spiffeId: string;
      readonly bootstrap?: string;
    };

/** One source. For an endpoint the settings must say whom to believe there: nothing of that is guessed. */
function readBundle(
  { file: bundleFile, workloadApi, endpoint, profile, spiffeId: id, bootstrap }: BundleKeys,
  context: z.RefinementCtx,
): BundleSettings {
  const refuse = (path: string[], message: string): BundleSettings => {
    context.addIssue({ code: 'custom', path, message });
    return z.NEVER;
  };
  const sources = [
    ...(bundleFile === undefined ? [] : [{ file: bundleFile }]),
    ...(workloadApi === undefined ? [] : [{ workloadApi }]),
    ...(endpoint === undefined ? [] : [{ endpoint }]),
  ];
  const [source, ...others] = sources;
  if (source === undefined || others.length > 0) {
    return refuse(
      [],
      'Write one source: `{ file: PATH }`, `{ workloadApi: ADDRESS }` or `{ endpoint: URL, profile: … }`.',
    );
  }
  if (!('endpoint' in source)) {
    return profile === undefined && id === undefined && bootstrap === undefined
      ? source
      : refuse([], 'Remove `profile`, `spiffeId` and `bootstrap`: they belong to an `endpoint`.');
  }
  if (profile === undefined)
    return refuse(['profile'], 'This key is required with `endpoint`. Write `https_web` or `https_spiffe`.');
  if (profile === 'https_spiffe') {
    return id === undefined
      ? refuse(
          ['spiffeId'],
          'This key is required with `https_spiffe`. Write the SPIFFE ID that the endpoint must have.',
        )
      : { ...source, profile, spiffeId: id, ...(bootstrap !== undefined && { bootstrap }) };
  }
  return id === undefined && bootstrap === undefined
    ? { ...source, profile }
    : refuse(['profile'], 'Write `https_spiffe`, or remove `spiffeId` and `bootstrap`.');
}

export const bundle = (context: ConfigContext) =>
  z
    .strictObject({
      file: file(context).exactOptional().describe('SPIFFE trust bundle as a file, read again when it changes'),
      workloadApi: workloadApiAddress()
        .exactOptional()
        .describe('Workload API of this host’s agent: unix:///path or tcp://ip:port'),
      endpoint: secureEndpoint().exactOptional().describe('Bundle endpoint of a federated trust domain'),
      profile: z
        .enum(['https_web', 'https_spiffe'])
        .exactOptional()
        .describe('How the endpoint is trusted: by the Web PKI, or by its SPIFFE ID'),
      spiffeId: spiffeId().exactOptional().describe('With https_spiffe: who the endpoint must be'),
      bootstrap: file(context)
        .exactOptional()
        .describe(
          'With https_spiffe: the first bundle, as a file, unless another entry has the endpoint’s trust domain',
        ),
    })
    .transform(readBundle);
