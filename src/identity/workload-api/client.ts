// The gRPC channel to the Workload API (SPIFFE standards, SPIFFE_Workload_Endpoint): plain gRPC to this host's agent,
// with the header that keeps requests forged through other protocols out. Trusts the process that listens at the
// configured address: only the host can protect that address.

import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { KeyFault } from '../keys/key-fault.ts';
import { type JwtSvidMessage, WORKLOAD_API, type WorkloadApiMethod } from './messages.ts';

export const GRPC_STATUS = status;

/** What feed.ts needs of a call. */
export interface Stream {
  on(event: 'data', listener: (message: unknown) => void): unknown;
  on(event: 'error', listener: (error: unknown) => void): unknown;
  on(event: 'end', listener: () => void): unknown;
  cancel(): void;
}

export interface WorkloadApiClient {
  stream(method: Exclude<WorkloadApiMethod, 'FetchJWTSVID'>): Stream;
  fetchJwtSvid(audience: readonly string[], spiffeId?: string): Promise<JwtSvidMessage>;
  close(): void;
}

const ADDRESS = /^(?:unix:\/\/(\/[^?#]+)|tcp:\/\/((?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]):\d{1,5}))$/;
const UNARY_TIMEOUT_MS = 5_000;

/**
 * Throws TypeError for another address than `unix:///path` and `tcp://ip:port` (section 4). Connects when it is first
 * used.
 */
export function createWorkloadApiClient(address: string): WorkloadApiClient {
  const [, path, host] = ADDRESS.exec(address) ?? [];
  if (path === undefined && host === undefined)
    throw new TypeError('a Workload API address is unix:///path or tcp://ip:port');
  // An agent is never reached over a proxy, whatever the environment says.
  const client = new Client(path === undefined ? (host ?? '') : `unix://${path}`, credentials.createInsecure(), {
    'grpc.enable_http_proxy': 0,
  });
  const metadata = new Metadata();
  // Section 4.1: without it the agent refuses the call.
  metadata.set('workload.spiffe.io', 'true');

  const definitionOf = (method: WorkloadApiMethod) => {
    const definition = WORKLOAD_API[method];
    if (definition === undefined) throw new KeyFault('no_such_method');
    return definition;
  };

  return {
    stream(method) {
      const { path: name, requestSerialize, responseDeserialize } = definitionOf(method);
      return client.makeServerStreamRequest(name, requestSerialize, responseDeserialize, {}, metadata);
    },
    fetchJwtSvid(audience, spiffeId = '') {
      const { path: name, requestSerialize, responseDeserialize } = definitionOf('FetchJWTSVID');
      return new Promise((resolve, reject) => {
        const options = { deadline: Date.now() + UNARY_TIMEOUT_MS };
        client.makeUnaryRequest(
          name,
          requestSerialize,
          responseDeserialize,
          { audience, spiffeId },
          metadata,
          options,
          (error, message) => (error === null && message !== undefined ? resolve(message) : reject(error)),
        );
      });
    },
    close: () => client.close(),
  };
}

/** The gRPC status of an error, where it has one; its message stays behind. */
export function grpcStatusOf(thrown: unknown): { readonly code: status; readonly name: string } | undefined {
  if (!isServiceError(thrown)) return undefined;
  return { code: thrown.code, name: `grpc_${(status[thrown.code] ?? 'unknown').toLowerCase()}` };
}

function isServiceError(thrown: unknown): thrown is ServiceError {
  return (
    thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'number' && status[thrown.code] !== undefined
  );
}
