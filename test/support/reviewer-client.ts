// A reviewer at the reviewers' API, as a script would be one: list, look, vote, follow events.

export interface SeenHold {
  readonly id: string;
  readonly state: string;
  readonly bindingDigest: string;
  readonly [member: string]: unknown;
}

export interface ReviewerClient {
  readonly token: string;
  request(path: string, init?: RequestInit): Promise<Response>;
  list(state?: string): Promise<readonly SeenHold[]>;
  show(id: string): Promise<SeenHold>;
  /** Votes on what the hold says now, unless another digest is given. */
  vote(
    id: string,
    decision: 'approve' | 'deny',
    more?: { readonly reason?: string; readonly bindingDigest?: string },
  ): Promise<Response>;
  approve(id: string): Promise<void>;
  deny(id: string): Promise<void>;
  revoke(id: string, reason?: string): Promise<Response>;
  /** Any endpoint's JSON; throws when it is refused. */
  read<T>(path: string): Promise<T>;
  post(path: string, body: unknown): Promise<Response>;
  /**
   * Listens until a hold comes into this state, then resolves with its id. Resolves to the listening itself first, so
   * that nothing is missed.
   */
  expect(state: string, id?: string): Promise<{ readonly hold: Promise<string> }>;
}

export function createReviewerClient(base: () => string, token: string): ReviewerClient {
  const request: ReviewerClient['request'] = (path, init = {}) =>
    fetch(`${base()}/api/v1${path}`, { ...init, headers: { authorization: `Bearer ${token}`, ...init.headers } });
  const post = (path: string, body: unknown): Promise<Response> =>
    request(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  const read = async <T>(path: string): Promise<T> => {
    const response = await request(path);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  };
  const decide = async (id: string, decision: 'approve' | 'deny'): Promise<void> => {
    const response = await client.vote(id, decision);
    if (!response.ok) throw new Error(`${decision} ${id}: ${response.status} ${await response.text()}`);
  };
  const client: ReviewerClient = {
    token,
    request,
    read,
    post,
    list: async (state = 'pending') => (await read<{ holds: SeenHold[] }>(`/holds?state=${state}`)).holds,
    show: (id) => read<SeenHold>(`/holds/${id}`),
    async vote(id, decision, { reason, bindingDigest } = {}) {
      const digest = bindingDigest ?? (await client.show(id)).bindingDigest;
      return post(`/holds/${id}/votes`, { decision, bindingDigest: digest, ...(reason !== undefined && { reason }) });
    },
    approve: (id) => decide(id, 'approve'),
    deny: (id) => decide(id, 'deny'),
    revoke: (id, reason) => post(`/holds/${id}/revoke`, reason === undefined ? {} : { reason }),
    async expect(state, id) {
      const aborter = new AbortController();
      const response = await request('/events', { signal: aborter.signal });
      if (response.body === null) throw new Error('no stream of events');
      return { hold: findHold(response.body, state, id).finally(() => aborter.abort()) };
    },
  };
  return client;
}

async function findHold(body: ReadableStream<Uint8Array>, state: string, id: string | undefined): Promise<string> {
  let text = '';
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (const [, data = '{}'] of text.matchAll(/^event: hold\n(?:id: .*\n)?data: (.*)$/gm)) {
      const hold = JSON.parse(data) as SeenHold;
      if (hold.state === state && (id === undefined || hold.id === id)) return hold.id;
    }
  }
  throw new Error(`the stream of events ended before a hold was ${state}`);
}
