// A browser without a screen: keeps cookies by host, follows redirects by hand, and chooses a person at the quickstart's issuer.

export interface Visitor {
  /** One request; redirects are not followed. */
  visit(url: string | URL, form?: Readonly<Record<string, string>>, headers?: Readonly<Record<string, string>>): Promise<Response>;
  /** From here through the issuer's pages as `user`, up to an address that is `inside`, which is not visited. */
  walk(start: string | URL, user: string, inside: (url: URL) => boolean): Promise<URL>;
  /** Signs in at a desk; gives the desk's own last answer, the redirect back to where the person wanted to go. */
  signIn(desk: string, user: string, query?: string): Promise<Response>;
}

export function createVisitor(): Visitor {
  const jars = new Map<string, Map<string, string>>();

  async function visit(url: string | URL, form?: Readonly<Record<string, string>>, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    const { host } = new URL(url);
    const jar = jars.get(host) ?? new Map<string, string>();
    jars.set(host, jar);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { ...(cookie !== '' && { cookie }), ...headers },
      ...(form && { method: 'POST', body: new URLSearchParams(form) }),
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (/; *max-age=0\b/i.test(line) || value === '') jar.delete(name);
      else jar.set(name, value);
    }
    return response;
  }

  async function walk(start: string | URL, user: string, inside: (url: URL) => boolean): Promise<URL> {
    let url = new URL(start);
    let form: Readonly<Record<string, string>> | undefined;
    for (let step = 0; step < 12; step++) {
      const location = (await visit(url, form)).headers.get('location');
      form = location === null ? { user } : undefined;
      if (location !== null) url = new URL(location, url);
      if (inside(url)) return url;
    }
    throw new Error('it went in circles');
  }

  return {
    visit,
    walk,
    async signIn(desk, user, query = '') {
      return visit(await walk(`${desk}/sign-in${query}`, user, ({ origin, pathname }) => origin === desk && pathname === '/sign-in/callback'));
    },
  };
}
