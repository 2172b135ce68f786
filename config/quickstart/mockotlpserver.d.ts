// The part of @elastic/mockotlpserver that is used here: the package carries no types of its own. See its lib/mockotlpserver.js and lib/normalize.js.

declare module '@elastic/mockotlpserver' {
  export interface NormalSpan {
    readonly traceId: string;
    readonly spanId: string;
    readonly parentSpanId?: string;
    readonly name: string;
    /** For example `SPAN_KIND_SERVER`. */
    readonly kind: string;
    /** Nanoseconds since the epoch. */
    readonly startTimeUnixNano: string;
    readonly endTimeUnixNano: string;
    readonly attributes?: Readonly<Record<string, unknown>>;
    readonly links?: readonly { readonly traceId: string; readonly spanId: string; readonly attributes?: Readonly<Record<string, unknown>> }[];
    readonly events?: readonly { readonly name: string; readonly attributes?: Readonly<Record<string, unknown>> }[];
    readonly status: { readonly code: string; readonly message?: string };
  }

  export interface NormalTrace {
    readonly resourceSpans: readonly {
      readonly resource: { readonly attributes: Readonly<Record<string, unknown>> };
      readonly scopeSpans: readonly { readonly scope: { readonly name: string }; readonly spans: readonly NormalSpan[] }[];
    }[];
  }

  export class MockOtlpServer {
    constructor(options: {
      readonly services: readonly ('http' | 'grpc' | 'ui')[];
      readonly httpHostname: string;
      readonly httpPort: number;
      readonly logLevel?: string;
      readonly onTrace?: (trace: unknown) => void;
      readonly onMetrics?: (metrics: unknown) => void;
      readonly onLogs?: (logs: unknown) => void;
    });
    /** Set once started. */
    readonly httpUrl: URL;
    start(): Promise<void>;
    close(): Promise<void>;
  }

  export function normalizeTrace(trace: unknown): NormalTrace;
  export function normalizeMetrics(metrics: unknown): unknown;
  export function normalizeLogs(logs: unknown): unknown;
}
