// A browser without a screen: keeps cookies, follows redirects by hand, and chooses a person at the quickstart issuer's page.

export interface Visitor {
  /** Cookies by name, of all hosts: names differ in these tests. */
  readonly cookies: Map<string, string>;
  /** One request, no redirect followed. */
  fetch(url: string | URL, form?: Readonly<Record<string, string>>): Promise<Response>;
  /** From the desk's sign-in to the address that the issuer sends back to, which is not visited. */
  signInUntilCallback(desk: string): Promise<URL>;
}

export function createVisitor(user: string): Visitor {
  const cookies = new Map<string, string>();

  async function visit(url: string | URL, form?: Readonly<Record<string, string>>): Promise<Response> {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie, ...(form && { origin: new URL(url).origin }) },
      ...(form && { method: 'POST', body: new URLSearchParams(form) }),
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    return response;
  }

  return {
    cookies,
    fetch: visit,
    async signInUntilCallback(desk) {
      let url = new URL('/sign-in', desk);
      let form: Readonly<Record<string, string>> | undefined;
      for (let step = 0; step < 12; step++) {
        if (url.pathname === '/sign-in/callback') return url;
        const response = await visit(url, form);
        const location = response.headers.get('location');
        form = location === null ? { user } : undefined;
        if (location !== null) url = new URL(location, url);
      }
      throw new Error('the sign-in went in circles');
    },
  };
}
