// The agent's end of an answer: every request gets a JSON-RPC answer, whatever the upstream did. An answer without a
// JSON-RPC message, an empty one, and an event stream that ends before the response become a JSON-RPC error, since an
// MCP client shows nothing of HTTP to its model. A stream that can be resumed stays open for that. Trusts `judge` to
// see every message that is passed on.

import { type HeaderList, header } from '../domain/headers.ts';
import type { Json, JsonObject } from '../domain/json.ts';
import type { ResponseSink } from '../domain/upstream.ts';
import { wrapSink } from '../domain/wrap-sink.ts';
import { GatewayError } from '../errors.ts';
import type { JudgeMessage } from './answer-sink.ts';
import { formatMessage } from './event-stream.ts';
import { noMessage } from './refusal.ts';

export interface OwedAnswer {
  readonly sink: ResponseSink;
  /** Wraps the judge of the answer's messages, so that the response is noticed. */
  watch(judge: JudgeMessage): JudgeMessage;
}

type AnswerForm = 'none' | 'events' | 'passing' | 'unread' | 'refused' | 'over';

export interface OwedAnswerOptions {
  /** The message where the upstream gave no answer to the request. */
  words(error: GatewayError): JsonObject;
  /** The whole message of a refusal. */
  refusal(error: GatewayError): JsonObject;
  /** Called with the status that the agent gets, where it differs from the upstream's. */
  told(status: number): void;
}

export function oweAnswer(
  sink: ResponseSink,
  rpcId: string | number,
  { words, refusal, told }: OwedAnswerOptions,
): OwedAnswer {
  let form: AnswerForm = 'none';
  let status = 0;
  let answered = false;
  /** Events with ids were seen: the client can ask for the rest. */
  let resumable = false;

  const instead = (): void => {
    told(200);
    const message = form === 'refused' ? refusal(REFUSED) : words(noMessage(status));
    form = 'over';
    sink.whole(
      200,
      ['content-type', 'application/json', 'cache-control', 'no-store'],
      Buffer.from(JSON.stringify(message)),
    );
  };
  /** Writes the last event of a stream; false where no event can be written. */
  const lastEvent = (error: GatewayError): boolean => {
    if (form !== 'events' || answered || resumable) return false;
    form = 'over';
    sink.write(formatMessage(words(error)));
    sink.end();
    return true;
  };

  return {
    watch: (judge) => (received) => {
      const judged = isMessage(received) ? judge(received) : undefined;
      if (judged === undefined || !isAbsent(judged.method)) return judged;
      // An error of a server that could not read the number has none; some servers write it as a text. An answer with
      // another id belongs to nobody here.
      if (!isAbsent(judged.id) && String(judged.id) !== String(rpcId)) return undefined;
      answered = true;
      return judged;
    },
    sink: wrapSink(sink, {
      head(code, headers) {
        status = code;
        form = formOf(code, headers);
        if (form !== 'unread' && form !== 'refused') sink.head(code, headers);
      },
      write(chunk) {
        if (form === 'unread' || form === 'refused' || form === 'over') return true;
        if (form === 'events' && typeof chunk === 'string' && EVENT_ID.test(chunk)) resumable = true;
        return sink.write(chunk);
      },
      whole(code, headers, body) {
        status = code;
        form = formOf(code, headers);
        // A stream that came whole: its events are read by nobody here.
        if (form === 'unread' || form === 'refused' || (body.length === 0 && isAnswer(code))) instead();
        else if (code < 500) sink.whole(code, headers, body);
        else {
          told(200);
          sink.whole(200, headers, body);
        }
      },
      end() {
        if (form === 'unread' || form === 'refused') instead();
        else if (form !== 'over' && !lastEvent(CLOSED)) sink.end();
      },
      abort(because) {
        if (form === 'over') return;
        if (because === undefined || !lastEvent(because)) sink.abort(because);
      },
    }),
  };
}

const CLOSED = new GatewayError('upstream_aborted', 'The upstream ended its stream without an answer.');
const REFUSED = new GatewayError('upstream_unauthorized', 'The upstream refused the gateway’s credential.');
const EVENT_ID = /^id: ./m;

/** A JSON object that is not a message counts as no answer. */
const isMessage = ({ method, result, error }: JsonObject): boolean =>
  !(isAbsent(method) && isAbsent(result) && isAbsent(error));
const isAbsent = (value: Json | undefined): boolean => value === undefined || value === null;

/**
 * A status that says that the request was answered. What refuses a request (4xx) or sends it elsewhere (3xx) means
 * something to MCP's transport.
 */
const isAnswer = (status: number): boolean => (status >= 200 && status < 300) || status >= 500;

/**
 * A redirection without an address that the agent may see, an answer to a condition that the agent did not set, and the
 * challenge of a proxy.
 */
function leadsNowhere(status: number, headers: HeaderList): boolean {
  return status === 407 || (status >= 300 && status < 400 && header(headers, 'location') === undefined);
}

function formOf(status: number, headers: HeaderList): AnswerForm {
  // An MCP client would take a 401 for the gateway's own, and try the upstream's sign-in.
  if (status === 401) return 'refused';
  const type = (header(headers, 'content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type === 'text/event-stream' && status === 200) return 'events';
  if (type === 'application/json') return 'passing';
  return isAnswer(status) || leadsNowhere(status, headers) ? 'unread' : 'passing';
}
