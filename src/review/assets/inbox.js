// Keeps the inbox current: the server says that something changed, and the list is fetched again, as the page that it is. Keys to move in it.

const inbox = document.getElementById('inbox');
const live = document.getElementById('live');
const changes = document.getElementById('changes');
let current = -1;
let loading = false;
let again = false;
let stream;

const cards = () => [...document.querySelectorAll('#inbox .card')];
const idsOf = (root) => new Set([...root.querySelectorAll('.card')].map(({ dataset }) => dataset.hold));

function say(state, text) {
  live.dataset.state = state;
  live.textContent = text;
}

// XMLHttpRequest parses the page into a document by itself: no text is ever made into markup here (Trusted Types).
function fetchPage() {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('GET', location.pathname + location.search);
    request.responseType = 'document';
    request.setRequestHeader('x-countersign-by-itself', '1');
    request.addEventListener('load', () => resolve(request));
    request.addEventListener('error', () => reject(new Error('network')));
    request.send();
  });
}

async function refresh() {
  if (loading) {
    again = true;
    return;
  }
  loading = true;
  inbox.setAttribute('aria-busy', 'true');
  try {
    const { status, response } = await fetchPage();
    if (status === 401) {
      globalThis.showBanner('Your session has ended.', '/sign-in');
      return;
    }
    const fresh = response?.getElementById('inbox');
    if (status === 200 && fresh) replace(fresh, response.title);
    if (stream?.readyState === EventSource.OPEN) say('on', 'Live');
  } catch {
    say('lost', 'Connection lost, trying again…');
  } finally {
    loading = false;
    inbox.removeAttribute('aria-busy');
    if (again) {
      again = false;
      refresh();
    }
  }
}

function replace(fresh, title) {
  const before = idsOf(inbox);
  const after = idsOf(fresh);
  const focused = document.activeElement?.closest?.('.card')?.dataset.hold;
  const here = cards()[current]?.dataset.hold;
  const openFilters = inbox.querySelector('.filters')?.open;
  inbox.replaceChildren(...document.adoptNode(fresh).childNodes);
  document.title = title;
  const arrived = [...after].filter((id) => !before.has(id));
  const gone = [...before].filter((id) => !after.has(id));
  for (const card of cards()) card.classList.toggle('new', arrived.includes(card.dataset.hold));
  if (openFilters && inbox.querySelector('.filters')) inbox.querySelector('.filters').open = true;
  current = cards().findIndex(({ dataset }) => dataset.hold === here);
  mark();
  if (focused !== undefined) inbox.querySelector(`[data-hold="${CSS.escape(focused)}"] a`)?.focus();
  const parts = [arrived.length > 0 && `${arrived.length} new`, gone.length > 0 && `${gone.length} gone`].filter(
    Boolean,
  );
  if (parts.length > 0) changes.textContent = `The list has changed: ${parts.join(', ')}.`;
}

function mark() {
  for (const [index, card] of cards().entries()) card.classList.toggle('here', index === current);
}

function move(step) {
  const all = cards();
  if (all.length === 0) return;
  current = Math.min(Math.max(current + step, 0), all.length - 1);
  mark();
  all[current].querySelector('a').focus();
}

function connect() {
  const events = new EventSource('/events');
  stream = events;
  events.addEventListener('snapshot', () => {
    say('on', 'Live');
    refresh();
  });
  events.addEventListener('hold', refresh);
  events.addEventListener('error', () => {
    if (events.readyState === EventSource.CLOSED) {
      say('lost', 'Not live');
      // The stream is refused for good when the session has ended; anything else is tried again.
      refresh().then(() => setTimeout(connect, 5000));
    } else say('lost', 'Connection lost, trying again…');
  });
  globalThis.addEventListener('pagehide', () => events.close(), { once: true });
}

say('off', 'Connecting…');
connect();
globalThis.addEventListener('online', refresh);

const keys = document.getElementById('keys');
const keysButton = document.getElementById('keys-button');
keysButton.hidden = false;
keysButton.addEventListener('click', () => keys.showModal());

document.addEventListener('keydown', (event) => {
  if (globalThis.isTyping(event)) return;
  const card = cards()[current];
  const link = card?.querySelector('a').href;
  if (event.key === 'j') move(1);
  else if (event.key === 'k') move(-1);
  else if (event.key === '?') keys.showModal();
  else if (event.key === 'a' && link) location.href = `${link}#approve`;
  else if (event.key === 'd' && link) location.href = `${link}#deny`;
  else if ('123'.includes(event.key)) document.querySelectorAll('.tabs a')[Number(event.key) - 1].click();
  else return;
  event.preventDefault();
});
