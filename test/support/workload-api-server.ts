// A real gRPC server that speaks the SPIFFE Workload API from the public .proto: tests put a state in, every open
// stream gets it whole, as from an agent. It can refuse with any status, be stopped and come back, and it counts what
// it is asked.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type GrpcObject,
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceClientConstructor,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { Issued } from './spiffe-authority.ts';

export interface WorkloadState {
  /** The gateway's own, first the default one; each chain leaf first. */
  readonly svids?: readonly { readonly id: string; readonly chain: readonly Issued[] }[];
  /** By trust domain. */
  readonly x509?: Readonly<Record<string, readonly Issued[]>>;
  /** JWKS documents by trust domain. */
  readonly jwt?: Readonly<Record<string, string>>;
  /** Makes JWT-SVIDs of the default identity; without it they are `jwt-for-` and the audience. */
  readonly makeJwt?: (audience: readonly string[]) => Promise<string>;
}

type StreamMethod = 'FetchX509SVID' | 'FetchX509Bundles' | 'FetchJWTBundles';

export interface WorkloadApiServer {
  /** `unix:///…` */
  readonly address: string;
  /** `tcp://127.0.0.1:…`, the same server. */
  readonly tcp: string;
  /** Sends this state to every open stream, and to those that come. */
  publish(state: WorkloadState): void;
  /** Ends every stream with this status, and refuses further ones with it until `undefined` is set. */
  refuse(code: keyof typeof status | undefined): void;
  /** Sends these bytes' worth of another message to streams of this kind. */
  send(method: StreamMethod, message: object): void;
  /** How often a method was called. */
  calls(method: StreamMethod | 'FetchJWTSVID'): number;
  /** The audiences of every JWT-SVID that was asked for. */
  readonly audiences: readonly (readonly string[])[];
  /** Resolves once a method was called so often. */
  called(method: StreamMethod, count: number): Promise<void>;
  stop(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

type Call = ServerWritableStream<object, object>;
type JwtCall = ServerUnaryCall<{ readonly audience: string[] }, object>;

const service = (loadPackageDefinition(loadSync('test/support/workload.proto', { defaults: true })) as GrpcObject)
  .SpiffeWorkloadAPI as ServiceClientConstructor;

export async function startWorkloadApiServer(initial: WorkloadState = {}): Promise<WorkloadApiServer> {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-wl-'));
  const address = `unix://${join(folder, 'agent.sock')}`;
  const open = new Map<StreamMethod, Set<Call>>();
  const counts = new Map<StreamMethod, number>();
  const audiences: string[][] = [];
  const waiting = new Set<() => void>();
  let state = initial;
  let refusal: keyof typeof status | undefined;
  let server: Server | undefined;
  let port = 0;

  const messages: Readonly<Record<StreamMethod, () => object>> = {
    FetchX509SVID: () => ({
      svids: (state.svids ?? []).map(({ id, chain }) => ({
        spiffeId: id,
        x509Svid: Buffer.concat(chain.map(({ der }) => der)),
        x509SvidKey: chain[0] === undefined ? Buffer.alloc(0) : derOf(chain[0].keyPem),
      })),
    }),
    FetchX509Bundles: () => ({
      bundles: byId(state.x509 ?? {}, (authorities) => Buffer.concat(authorities.map(({ der }) => der))),
    }),
    FetchJWTBundles: () => ({ bundles: byId(state.jwt ?? {}, (document) => Buffer.from(document)) }),
  };

  function refuseCall(call: Call, code: keyof typeof status): void {
    call.emit('error', { code: status[code], details: 'refused by the test' });
  }

  const stream = (method: StreamMethod) => (call: Call) => {
    counts.set(method, (counts.get(method) ?? 0) + 1);
    for (const look of waiting) look();
    if (call.metadata.get('workload.spiffe.io')[0] !== 'true') return refuseCall(call, 'INVALID_ARGUMENT');
    if (refusal !== undefined) return refuseCall(call, refusal);
    const calls = open.get(method) ?? new Set<Call>();
    open.set(method, calls.add(call));
    call.on('cancelled', () => calls.delete(call));
    call.write(messages[method]());
  };

  async function answerJwt({ request: { audience }, metadata }: JwtCall, answer: sendUnaryData<object>): Promise<void> {
    audiences.push(audience);
    if (metadata.get('workload.spiffe.io')[0] !== 'true') return answer({ code: status.INVALID_ARGUMENT });
    if (refusal !== undefined) return answer({ code: status[refusal], details: 'refused by the test' });
    const [own] = state.svids ?? [];
    const makeJwt = state.makeJwt ?? (async () => `jwt-for-${audience.join('+')}`);
    answer(null, { svids: own === undefined ? [] : [{ spiffeId: own.id, svid: await makeJwt(audience) }] });
  }

  async function start(): Promise<void> {
    server = new Server();
    server.addService(service.service, {
      FetchX509SVID: stream('FetchX509SVID'),
      FetchX509Bundles: stream('FetchX509Bundles'),
      FetchJWTBundles: stream('FetchJWTBundles'),
      FetchJWTSVID: answerJwt,
    });
    await bind(server, address);
    port = await bind(server, `127.0.0.1:${port}`);
  }

  await start();
  return {
    address,
    get tcp() {
      return `tcp://127.0.0.1:${port}`;
    },
    publish(next) {
      state = next;
      for (const [method, calls] of open) for (const call of calls) call.write(messages[method]());
    },
    refuse(code) {
      refusal = code;
      if (code === undefined) return;
      for (const calls of open.values()) {
        for (const call of calls) refuseCall(call, code);
        calls.clear();
      }
    },
    send(method, message) {
      for (const call of open.get(method) ?? []) call.write(message);
    },
    calls: (method) => (method === 'FetchJWTSVID' ? audiences.length : (counts.get(method) ?? 0)),
    audiences,
    called: (method, count) =>
      new Promise((resolve) => {
        const look = (): void => {
          if ((counts.get(method) ?? 0) < count) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
    async stop() {
      open.clear();
      server?.forceShutdown();
    },
    start,
    async close() {
      server?.forceShutdown();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function bind(server: Server, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
  });
}

function byId<T>(entries: Readonly<Record<string, T>>, read: (entry: T) => Buffer): Record<string, Buffer> {
  return Object.fromEntries(
    Object.entries(entries).map(([trustDomain, entry]) => [`spiffe://${trustDomain}`, read(entry)]),
  );
}

function derOf(pem: string): Buffer {
  return Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
}
