// The part of oidc-provider's surface that the quickstart and the tests use: the package carries no types of its own.
// Names and shapes follow its lib/provider.js, lib/models and lib/helpers/defaults.js of version 9.

declare module 'oidc-provider' {
  import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';

  /** A stored artifact: an access token, a client-credentials token, a device code. */
  export interface Artifact {
    readonly kind: string;
    readonly accountId?: string;
    readonly clientId?: string;
    readonly authTime?: number;
    readonly expiration: number;
    extra?: Record<string, unknown>;
    scope?: string;
    resourceServer?: ResourceServer;
    save(): Promise<string>;
    destroy(): Promise<void>;
  }

  export interface ResourceServer {
    readonly audience: string;
    readonly scope: string;
    readonly accessTokenTTL?: number;
  }

  export interface Grant {
    addOIDCScope(scope: string): void;
    addResourceScope(resource: string, scope: string): void;
    save(): Promise<string>;
  }

  export interface Client {
    readonly clientId: string;
    readonly clientName?: string;
  }

  /** Koa's context with what oidc-provider hangs on it. */
  export interface Context {
    readonly req: IncomingMessage;
    readonly res: ServerResponse;
    readonly method: string;
    readonly path: string;
    status: number;
    type: string;
    body: unknown;
    readonly oidc: {
      readonly provider: Provider;
      readonly client?: Client;
      readonly params?: Readonly<Record<string, unknown>>;
      readonly entities: Readonly<Record<string, Artifact | undefined>>;
      readonly session?: { readonly accountId?: string };
      readonly resourceServers: Readonly<Record<string, ResourceServer>>;
      readonly result?: Readonly<Record<string, unknown>>;
      readonly route: string;
    };
    get(field: string): string;
    set(field: string, value: string): void;
  }

  export interface InteractionDetails {
    readonly uid: string;
    readonly prompt: { readonly name: string; readonly reasons: readonly string[] };
    readonly params: Readonly<Record<string, unknown>>;
  }

  export default class Provider {
    constructor(issuer: string, configuration: Readonly<Record<string, unknown>>);
    readonly issuer: string;
    proxy: boolean;
    readonly Grant: new (values: {
      accountId: string;
      clientId: string;
    }) => Grant;
    readonly AccessToken: new (
      values: Readonly<Record<string, unknown>>,
    ) => Artifact;
    readonly ClientCredentials: new (
      values: Readonly<Record<string, unknown>>,
    ) => Artifact;
    readonly Client: { find(clientId: string): Promise<Client | undefined> };
    callback(): RequestListener;
    use(middleware: (ctx: Context, next: () => Promise<void>) => Promise<void>): this;
    on(event: string, listener: (...values: readonly unknown[]) => void): this;
    registerGrantType(name: string, handler: (ctx: Context) => Promise<void>, parameters: readonly string[]): void;
    readonly ResourceServer: new (
      identifier: string,
      info: Readonly<Record<string, unknown>>,
    ) => ResourceServer;
    interactionDetails(req: IncomingMessage, res: ServerResponse): Promise<InteractionDetails>;
    interactionFinished(
      req: IncomingMessage,
      res: ServerResponse,
      result: Readonly<Record<string, unknown>>,
      options?: { readonly mergeWithLastSubmission?: boolean },
    ): Promise<void>;
  }

  /** The base policy of prompts, to which checks can be added, and taken out. */
  export const interactionPolicy: {
    base(): {
      get(name: string): { readonly checks: { add(check: unknown): void; remove(reason: string): void } } | undefined;
    };
    Check: {
      new (reason: string, description: string, check: (ctx: Context) => boolean): unknown;
      readonly REQUEST_PROMPT: true;
      readonly NO_NEED_TO_PROMPT: false;
    };
  };

  export const errors: Readonly<Record<string, new (...values: string[]) => Error>>;
}
