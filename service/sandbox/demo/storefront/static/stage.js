// The page: a phone that runs the mini program, the wallet's cashier over it, and beside it what happens behind.
import { Behind } from './behind.js';
import { openCashier } from './cashier.js';
import { createMiniProgram } from './miniprogram.js';
import { createMy } from './my.js';
import { step } from './steps.js';

/** @param {string} id */
const place = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
/** @param {string} id */
const box = (id) => /** @type {HTMLInputElement} */ (document.getElementById(id));

/** @type {Promise<{ wallet: string }>} */
const settings = fetch('/settings.json').then((reply) => reply.json());
const behind = new Behind(onState);
let awaitsDisplay = false;
/** @type {Record<string, string>} */
const FATES = { lose: 'is lost', late: 'is late', twice: 'comes twice' };

/** @param {any} event */
function onState(event) {
  // It was lost once; the next order's is not.
  if (event.trigger === 'operation_unknown') box('silence').checked = false;
}

/** The wallet will lose the answer to the next capture of the order that is shown. */
function silence() {
  if (behind.orderId && behind.kind === 'preauth' && box('silence').checked) {
    fetch(`/backstage/${behind.orderId}/silence`, { method: 'POST' });
  }
}

/** @param {string} name @param {Partial<import('./behind.js').Entry> & { at?: number }} more */
function show(name, { at = Date.now(), title = '', record = {}, ...more }, words = '') {
  const made = step(name, behind.kind, words ? { words } : {});
  behind.add({ at, step: made, source: 'phone', title, record, ...more });
}

/** @param {string} tap the page's own name of what was tapped */
function onTap(tap) {
  const kind = { onBuyMug: 'payment', onRent: 'preauth', onRun: 'preauth' }[tap];
  const title = `tap · ${tap}`;
  if (kind) {
    behind.reset(kind);
    show('placed', { title }, tap === 'onRun' ? "runs the guide's sample call" : '');
  } else if (tap === 'onReturn') show('returned', { title });
  else if (tap === 'onPay') show('placed', { title }, 'tries again');
}

/** @param {import('./my.js').Call} call */
function onCall({ api, phase, at, detail }) {
  if (api === 'tradePay') {
    if (phase === 'call') show('trade_pay', { at, title: 'my.tradePay', record: detail });
    else show('result', { at, title: `my.tradePay → ${detail.resultCode}`, record: detail });
    awaitsDisplay = phase === 'answer';
  } else if (api === 'request' && detail.method === 'POST') onRequest(phase, at, detail);
  else if (awaitsDisplay && (api === 'navigateTo' || api === 'alert')) {
    awaitsDisplay = false;
    show('displayed', { at, title: `my.${api}`, record: detail });
  }
}

/** @param {string} phase @param {number} at @param {any} detail */
function onRequest(phase, at, detail) {
  const { method, path, status, response } = detail;
  const name = path === '/api/orders' ? 'create' : path.split('/').pop();
  if (phase === 'call') {
    show(`${name}_call`, { at, source: 'http', title: `${method} ${path}`, record: detail });
  } else if (name === 'create') {
    if (response.order_id) behind.follow(response.order_id);
    show('create_answer', { at, source: 'http', title: `→ ${status}`, record: detail });
    silence();
  }
}

/** @param {any} seen a step that the wallet took */
function onSeen({ step: name, at, answered_at: answeredAt, method, path, request, status, response }) {
  if (name === 'look' || name === 'pay') {
    let words = name === 'pay' && request.connection === 'lost_before' ? 'is not reached: the network is lost' : '';
    if (request.action === 'cancel') words = 'is told that the buyer walks away';
    show(name, { at, source: 'http', title: `${method} ${path}`, record: request }, words);
    const answered = { at: answeredAt, source: /** @type {const} */ ('http'), title: `→ ${status}`, record: response };
    if (name === 'look') show('looked', answered, status === 200 ? '' : 'refuses the orderStr');
    else show('pay', answered, `the phone is left with ${response.result_code ?? 'nothing'}`);
  } else if (name === 'pressed') {
    const { action, connection, callback, delay_s: delay } = request;
    const words = [action === 'cancel' ? 'cancels' : 'confirms'];
    if (connection) words.push(connection === 'lost_before' ? '; the network is lost' : '; the answer is lost');
    if (callback) words.push(`; the callback ${FATES[callback]}`);
    if (callback === 'twice' && delay) words.push(', and late');
    show(name, { at, title: 'the cashier page', record: request }, words.join(''));
  } else show(name, { at, title: 'the cashier page', record: response ?? {} });
}

/** @param {string} text @param {string} button @returns {Promise<void>} */
function alert(text, button) {
  place('alert-text').textContent = text;
  place('alert-ok').textContent = button;
  place('alert').hidden = false;
  place('alert-ok').focus();
  return new Promise((resolve) => {
    place('alert-ok').addEventListener('click', () => {
      place('alert').hidden = true;
      resolve();
    }, { once: true });
  });
}

let toasting = 0;
/** @param {string} text @param {number} shownMs */
function toast(text, shownMs) {
  place('toast').textContent = text;
  place('toast').hidden = false;
  clearTimeout(toasting);
  toasting = window.setTimeout(() => {
    place('toast').hidden = true;
  }, shownMs);
}

/** @param {string} title */
const setTitle = (title) => {
  place('title').textContent = title;
};

/** @type {Awaited<ReturnType<typeof createMiniProgram>> | undefined} */
let mini;
const my = createMy({
  openCashier: async (orderStr) => openCashier(place('sheet'), (await settings).wallet, orderStr, onSeen),
  alert,
  toast,
  open: async (url, replaces) => mini?.open(url, replaces),
  back: (pages) => mini?.back(pages),
  setTitle,
  seen: onCall,
});
/** @type {any} */ (globalThis).my = my;
place('back').addEventListener('click', () => mini?.back(1));
box('silence').addEventListener('change', silence);
for (const button of document.querySelectorAll('button[data-wallet]')) {
  button.addEventListener('click', () => {
    my.setStorageSync({ key: 'wallet', data: /** @type {HTMLElement} */ (button).dataset.wallet });
    showChoices();
  });
}
box('closes-early').addEventListener('change', () => {
  my.setStorageSync({ key: 'closesEarly', data: box('closes-early').checked });
});
for (const button of document.querySelectorAll('.sides button')) {
  button.addEventListener('click', () => {
    document.body.dataset.side = /** @type {HTMLElement} */ (button).dataset.side;
    for (const each of document.querySelectorAll('.sides button')) {
      each.setAttribute('aria-pressed', String(each === button));
    }
  });
}

function showChoices() {
  const chosen = my.getStorageSync({ key: 'wallet' }).data ?? 'sandbox';
  for (const button of document.querySelectorAll('button[data-wallet]')) {
    button.setAttribute('aria-pressed', String(/** @type {HTMLElement} */ (button).dataset.wallet === chosen));
  }
  box('closes-early').checked = Boolean(my.getStorageSync({ key: 'closesEarly' }).data);
}
showChoices();

// Last, because it takes a moment: what can be pressed should do something from the beginning.
mini = await createMiniProgram({
  screen: place('screen'),
  onPage: (title, canGoBack) => {
    setTitle(title);
    place('back').hidden = !canGoBack;
    place('screen').scrollTop = 0;
  },
  onTap,
});
await mini.open(mini.first, false);
