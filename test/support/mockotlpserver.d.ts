// The part of @elastic/mockotlpserver that tests use: it carries no types of its own.

declare module '@elastic/mockotlpserver' {
  export interface MockOtlpServerOptions {
    readonly logLevel?: string;
    readonly services?: readonly ('http' | 'grpc' | 'ui')[];
    readonly httpHostname?: string;
    readonly httpPort?: number;
    readonly onTrace?: (request: unknown) => void;
    readonly onMetrics?: (request: unknown) => void;
    readonly onLogs?: (request: unknown) => void;
    readonly onRequest?: (request: {
      readonly path: string;
      readonly headers: Readonly<Record<string, string | undefined>>;
    }) => void;
  }

  export class MockOtlpServer {
    constructor(options: MockOtlpServerOptions);
    readonly httpUrl: URL;
    start(): Promise<void>;
    close(): Promise<void>;
  }

  export function normalizeTrace(request: unknown): unknown;
  export function normalizeMetrics(request: unknown): unknown;
  export function normalizeLogs(request: unknown): unknown;
}
