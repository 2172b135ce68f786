// The SPIFFE Workload API's messages (SPIFFE standards, SPIFFE_Workload_API, section 5; the public workload.proto), as
// a protobuf descriptor. Here as code and not as a .proto file, so that the built package needs no file beside it. A
// test holds it against the public file.

import type { ServiceDefinition } from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';

const bytes = (id: number) => ({ type: 'bytes', id });
const text = (id: number) => ({ type: 'string', id });
const bundles = (id: number) => ({ keyType: 'string', type: 'bytes', id });

const DESCRIPTOR = {
  nested: {
    SpiffeWorkloadAPI: {
      methods: {
        FetchX509SVID: { requestType: 'X509SVIDRequest', responseType: 'X509SVIDResponse', responseStream: true },
        FetchX509Bundles: {
          requestType: 'X509BundlesRequest',
          responseType: 'X509BundlesResponse',
          responseStream: true,
        },
        FetchJWTSVID: { requestType: 'JWTSVIDRequest', responseType: 'JWTSVIDResponse' },
        FetchJWTBundles: { requestType: 'JWTBundlesRequest', responseType: 'JWTBundlesResponse', responseStream: true },
      },
    },
    X509SVIDRequest: { fields: {} },
    X509SVIDResponse: {
      fields: {
        svids: { rule: 'repeated', type: 'X509SVID', id: 1 },
        crl: { rule: 'repeated', ...bytes(2) },
        federatedBundles: bundles(3),
      },
    },
    X509SVID: {
      fields: { spiffeId: text(1), x509Svid: bytes(2), x509SvidKey: bytes(3), bundle: bytes(4), hint: text(5) },
    },
    X509BundlesRequest: { fields: {} },
    X509BundlesResponse: { fields: { crl: { rule: 'repeated', ...bytes(1) }, bundles: bundles(2) } },
    JWTSVIDRequest: { fields: { audience: { rule: 'repeated', ...text(1) }, spiffeId: text(2) } },
    JWTSVIDResponse: { fields: { svids: { rule: 'repeated', type: 'JWTSVID', id: 1 } } },
    JWTSVID: { fields: { spiffeId: text(1), svid: text(2), hint: text(3) } },
    JWTBundlesRequest: { fields: {} },
    JWTBundlesResponse: { fields: { bundles: bundles(1) } },
  },
};

export type WorkloadApiMethod = keyof typeof DESCRIPTOR.nested.SpiffeWorkloadAPI.methods;

export interface X509SvidMessage {
  readonly svids: readonly {
    readonly spiffeId: string;
    readonly x509Svid: Uint8Array;
    readonly x509SvidKey: Uint8Array;
    readonly hint: string;
  }[];
}

export interface BundlesMessage {
  /** By `spiffe://<trust domain>`. */
  readonly bundles: Readonly<Record<string, Uint8Array>>;
}

export interface JwtSvidMessage {
  readonly svids: readonly { readonly spiffeId: string; readonly svid: string; readonly hint: string }[];
}

// With `defaults`, what a message leaves out is there as an empty list, map, text or run of bytes, so the shapes above
// hold for every answer. The library's type for descriptors demands members that its reader does not.
export const WORKLOAD_API = fromJSON(DESCRIPTOR as unknown as Parameters<typeof fromJSON>[0], { defaults: true })
  .SpiffeWorkloadAPI as ServiceDefinition;
