// A browser without a screen: keeps cookies, follows redirects by hand, and chooses a person at the quickstart issuer's
// page.

export interface Visitor {
  /** Cookies by name, of all hosts: names differ in these tests. */
  readonly cookies: Map<string, string>;
  /** One request, no redirect followed. */
  fetch(
    url: string | URL,
    form?: Readonly<Record<string, string>>,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Response>;
  /** From here through the issuer's pages, up to an address that is `inside`, which is not visited. */
  walk(start: string | URL, inside: (url: URL) => boolean): Promise<URL>;
  /** From the console's sign-in to the address that the issuer sends back to, which is not visited. */
  signInUntilCallback(origin: string, query?: string): Promise<URL>;
  /** The whole sign-in; gives the console's last answer, the redirect to where the person wanted to go. */
  signIn(origin: string, query?: string): Promise<Response>;
}

export function createVisitor(user: string): Visitor {
  const cookies = new Map<string, string>();

  async function visit(
    url: string | URL,
    form?: Readonly<Record<string, string>>,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Response> {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie, ...(form && { origin: new URL(url).origin }), ...headers },
      ...(form && { method: 'POST', body: new URLSearchParams(form) }),
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    return response;
  }

  async function walk(start: string | URL, inside: (url: URL) => boolean): Promise<URL> {
    let url = new URL(start);
    let form: Readonly<Record<string, string>> | undefined;
    for (let step = 0; step < 12; step++) {
      if (inside(url)) return url;
      const location = (await visit(url, form)).headers.get('location');
      form = location === null ? { user } : undefined;
      if (location !== null) url = new URL(location, url);
    }
    throw new Error('the sign-in went in circles');
  }

  const signInUntilCallback: Visitor['signInUntilCallback'] = (origin, query = '') =>
    walk(`${origin}/sign-in${query}`, ({ pathname }) => pathname === '/sign-in/callback');
  return {
    cookies,
    fetch: visit,
    walk,
    signInUntilCallback,
    signIn: async (origin, query) => visit(await signInUntilCallback(origin, query)),
  };
}
