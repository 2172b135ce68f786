// A person with a browser: opens the page that a device shows, follows its forms and redirects with a cookie jar, and
// chooses who they are.

/** Signs in at the local issuer as `user`. Throws when the pages do not end at "Signed in". */
export async function signInOnDevice(verificationUri: string, user: string): Promise<void> {
  const cookies = new Map<string, string>();
  let next: { url: URL; body?: URLSearchParams } = { url: new URL(verificationUri) };
  for (let step = 0; step < 20; step++) {
    const response = await fetch(next.url, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(next.body && { method: 'POST', body: next.body }),
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    const location = response.headers.get('location');
    const page = await response.text();
    if (location !== null) next = { url: new URL(location, next.url) };
    else if (page.includes('<h1>Signed in</h1>')) return;
    else next = submitForm(page, next.url, user);
  }
  throw new Error('the sign-in goes round in circles');
}

function submitForm(page: string, url: URL, user: string): { url: URL; body: URLSearchParams } {
  const action = /<form[^>]*action="([^"]*)"/.exec(page)?.[1];
  if (action === undefined) throw new Error(`the page has no form: ${page.slice(0, 500)}`);
  const body = new URLSearchParams();
  for (const [field] of page.matchAll(/<input[^>]*type="hidden"[^>]*>/g)) {
    body.set(/name="([^"]*)"/.exec(field)?.[1] ?? '', /value="([^"]*)"/.exec(field)?.[1] ?? '');
  }
  if (page.includes('name="user"')) body.set('user', user);
  return { url: new URL(action.replaceAll('&#x2F;', '/'), url), body };
}
