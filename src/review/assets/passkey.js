// Passkeys: asks the browser to make one, or to sign one decision with one. The server made the challenge and checks the answer.

const status = document.getElementById('passkey-status');

function complain(text) {
  status.textContent = text;
  status.hidden = text === '';
}

async function post(path, fields) {
  const response = await fetch(path, {
    method: 'POST',
    headers: { accept: 'application/json' },
    body: new URLSearchParams(fields),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail ?? 'The server refused it.');
  return answer;
}

const reason = (error) => (error.name === 'NotAllowedError' ? 'It was cancelled, or took too long.' : error.message);

const add = document.getElementById('add-passkey');
if (add !== null && 'PublicKeyCredential' in globalThis) {
  add.hidden = false;
  add.addEventListener('submit', async (event) => {
    event.preventDefault();
    complain('');
    try {
      const { csrf, label } = Object.fromEntries(new FormData(add));
      const { options, ticket } = await post('/passkeys/begin', { csrf });
      const credential = await navigator.credentials.create({
        publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options),
      });
      await post('/passkeys/add', { csrf, label, ticket, response: JSON.stringify(credential.toJSON()) });
      location.reload();
    } catch (error) {
      complain(reason(error));
    }
  });
}

const sign = document.getElementById('passkey');
if (sign !== null && 'PublicKeyCredential' in globalThis) {
  sign.hidden = false;
  sign.addEventListener('click', async () => {
    const form = document.getElementById('final');
    complain('');
    sign.disabled = true;
    try {
      const { csrf, bindingDigest, decision } = Object.fromEntries(new FormData(form));
      const { options, ticket } = await post(`/holds/${sign.dataset.hold}/passkey`, { csrf, bindingDigest, decision });
      const assertion = await navigator.credentials.get({
        publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options),
      });
      form.elements.ticket.value = ticket;
      form.elements.assertion.value = JSON.stringify(assertion.toJSON());
      form.submit();
    } catch (error) {
      complain(reason(error));
      sign.disabled = false;
    }
  });
}
