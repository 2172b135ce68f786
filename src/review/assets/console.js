// On every page: countdowns that run, copy buttons, and a word when the network is gone. Nothing here decides anything.

const spell = (ms) => {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes} min` : `${minutes} min ${seconds % 60} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} days`;
};

function runCountdowns() {
  for (const element of document.querySelectorAll('time.left')) {
    const left = Date.parse(element.dateTime) - Date.now();
    element.textContent = left <= 0 ? 'time is up' : `${spell(left)} left`;
    element.dataset.left = left < 60_000 ? 'now' : left < 180_000 ? 'soon' : 'calm';
  }
}

function showBanner(text, link) {
  const banner = document.getElementById('banner');
  banner.textContent = text ?? '';
  if (link !== undefined) {
    const anchor = document.createElement('a');
    anchor.href = link;
    anchor.textContent = 'Sign in again';
    banner.append(' ', anchor);
  }
  banner.hidden = text === undefined;
}
globalThis.showBanner = showBanner;

runCountdowns();
setInterval(runCountdowns, 1000);

globalThis.addEventListener('offline', () =>
  showBanner('You are offline: what you see may be old, and nothing can be decided.'),
);
globalThis.addEventListener('online', () => showBanner(undefined));
if (!navigator.onLine) showBanner('You are offline: what you see may be old, and nothing can be decided.');

for (const button of document.querySelectorAll('[data-copy]')) {
  button.hidden = false;
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = 'Copied';
    } catch {
      button.textContent = 'Could not copy';
    }
  });
}

// On a hold's page: a and d go to the decision; a hold that changes meanwhile says so. `#approve` comes from the inbox's keys.
const hold = document.querySelector('.hold');
const typing = (event) =>
  event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.('input, textarea, select, dialog') !== null;
globalThis.isTyping = typing;
if (hold !== null) {
  const goTo = (id) => {
    const target = document.getElementById(id);
    if (target === null || target.disabled) return;
    const reason = document.getElementById('reason');
    (reason?.required && reason.value === '' ? reason : target).focus();
  };
  if (location.hash === '#approve' || location.hash === '#deny') goTo(location.hash.slice(1));
  document.addEventListener('keydown', (event) => {
    if (typing(event)) return;
    if (event.key === 'a') goTo('approve');
    else if (event.key === 'd') goTo('deny');
    else return;
    event.preventDefault();
  });
  if (hold.dataset.state === 'PENDING' || hold.dataset.state === 'APPROVED') watch();
}

// Browsers keep few connections to one host: a page that nobody looks at lets its own go.
function watch() {
  const events = new EventSource('/events');
  document.addEventListener(
    'visibilitychange',
    () => {
      events.close();
      document.addEventListener('visibilitychange', lookAgain, { once: true });
    },
    { once: true },
  );
  events.addEventListener('hold', ({ data }) => {
    const { id, version } = JSON.parse(data);
    if (id === hold.dataset.hold) follow(version);
  });
  // What changed before the stream was open has no event: the stream begins by saying "look again".
  events.addEventListener('snapshot', () => {
    const request = new XMLHttpRequest();
    request.open('GET', location.pathname);
    request.responseType = 'document';
    request.setRequestHeader('x-countersign-by-itself', '1');
    request.addEventListener('load', () => follow(request.response?.querySelector('.hold')?.dataset.version ?? 0));
    request.send();
  });
  globalThis.addEventListener('pagehide', () => events.close());
}

function lookAgain() {
  const reason = document.getElementById('reason');
  if (reason === null || reason.value === '') location.reload();
  else watch();
}

function follow(version) {
  if (Number(version) <= Number(hold.dataset.version)) return;
  const reason = document.getElementById('reason');
  // What somebody is writing is not thrown away.
  if (reason !== null && reason.value !== '')
    globalThis.showBanner('This hold has changed: load the page again before you decide.');
  else location.reload();
}
