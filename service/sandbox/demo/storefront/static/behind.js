// The panel beside the phone: each step as it happens, with the real record, and where paystate has the order.
import { FIGURES, ofRecord, step } from './steps.js';

/**
 * @typedef {object} Entry
 * @property {number} at milliseconds since 1970
 * @property {import('./steps.js').Step} step
 * @property {'phone' | 'http' | 'kafka' | 'state'} source
 * @property {string} title what kind of record: a topic, a call
 * @property {any} record
 * @property {string} [fate] of a state event: what became of its cause
 */

const MOST_AT_THE_END_PX = 60;
const LEDGER_AFTER_MS = 250;

/** @template {keyof HTMLElementTagNameMap} T @param {T} tag @param {string} className @param {(Node | string)[]} children */
function element(tag, className, ...children) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

/** @param {string} id */
const place = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {number} minor */
const money = (minor) => `¥${(minor / 100).toFixed(2)}`;

/** The callback's own fields, out of the record's bytes. @param {any} value @returns {Record<string, any>} */
function callbackFields(value) {
  try {
    const body = new TextDecoder().decode(Uint8Array.from(atob(value.body_base64), (c) => c.charCodeAt(0)));
    return body.startsWith('{') ? JSON.parse(body) : Object.fromEntries(new URLSearchParams(body));
  } catch {
    return {};
  }
}

export class Behind {
  /** @param {(order: any) => void} onState each state event of the order */
  constructor(onState) {
    this.onState = onState;
    this.list = place('steps');
    this.kind = '';
    this.orderId = '';
    /** @type {Entry[]} */
    this.entries = [];
    /** @type {EventSource | undefined} */
    this.events = undefined;
    /** @type {number | undefined} */
    this.ledgerTimer = undefined;
    this.showFigures();
  }

  /** A new story begins. @param {string} kind */
  reset(kind) {
    this.kind = kind;
    this.orderId = '';
    this.entries = [];
    this.events?.close();
    this.events = undefined;
    clearTimeout(this.ledgerTimer);
    this.list.replaceChildren();
    place('path').replaceChildren();
    place('ledger').replaceChildren();
    place('money').replaceChildren();
    place('flags').replaceChildren();
    place('summary').hidden = true;
    place('empty').hidden = true;
    this.count();
  }

  /** @param {string} orderId */
  follow(orderId) {
    this.orderId = orderId;
    place('order-id').textContent = orderId;
    place('summary').hidden = false;
    this.events = new EventSource(`/backstage/${orderId}/events`);
    this.events.onmessage = (event) => this.sighted(JSON.parse(event.data));
  }

  /** Something that the shop's server has seen: a call that it made, or a record on a topic. @param {any} seen */
  sighted(seen) {
    if (seen.source === 'http') {
      const { method, path, status, request, response } = seen;
      this.add({
        at: seen.at,
        step: step(seen.step, this.kind),
        source: 'http',
        title: `${method} ${path} → ${status}`,
        record: { request, status, response },
      });
      return;
    }
    const isState = seen.topic === 'payment.state-events';
    const callback = seen.topic === 'wallet.callbacks' ? callbackFields(seen.value) : {};
    const record = seen.topic === 'wallet.callbacks' ? { body_decoded: callback, ...seen.value } : seen.value;
    const title = `${seen.topic} · lane ${seen.partition} · offset ${seen.offset}`;
    const name = ofRecord(seen, this.kind, callback);
    if (!isState) {
      this.add({ at: seen.at, step: step(name, this.kind), source: 'kafka', title, record });
      return;
    }
    this.add({
      at: seen.at,
      step: step(name, this.kind, { from: 'paystate', to: 'topic', words: this.stateWords(seen.value) }),
      source: 'state',
      title,
      record,
      fate: seen.value.disposition,
    });
    this.stayingAtTheEnd(() => this.showState(seen.value));
    this.onState(seen.value);
  }

  /** @param {any} event */
  stateWords(event) {
    const what = event.trigger.replaceAll('_', ' ');
    return event.reason ? `${what}: ${event.reason}` : what;
  }

  /** @param {any} event */
  showState(event) {
    const path = place('path');
    if (event.previous_state !== event.state) {
      path.lastElementChild?.removeAttribute('aria-current');
      const pill = element('li', `pill state-${event.state}`, event.state.replaceAll('_', ' '));
      pill.setAttribute('aria-current', 'step');
      path.append(pill);
    }
    place('flags').replaceChildren(
      ...event.flags.map((/** @type {string} */ flag) => element('span', 'flag', flag.replaceAll('_', ' '))),
    );
    this.showMoney(event);
    clearTimeout(this.ledgerTimer);
    this.ledgerTimer = window.setTimeout(() => this.showLedger(), LEDGER_AFTER_MS);
  }

  /** @param {any} event */
  showMoney(event) {
    const { kind, amount_minor: amount, frozen_minor: frozen, taken_minor: taken } = event;
    const { released_minor: released, refunded_minor: refunded } = event;
    const held = kind === 'preauth' ? frozen - taken - released : 0;
    const parts = /** @type {[string, number, string][]} */ ([
      ['captured', taken - refunded, kind === 'preauth' ? 'captured' : 'taken'],
      ['frozen', held, 'frozen'],
      ['released', released + refunded, kind === 'preauth' ? 'released' : 'refunded'],
      ['open', amount - taken - held - released, 'not taken'],
    ]);
    const bar = element('div', 'bar-money');
    const words = element('ul', 'parts');
    for (const [name, minor, label] of parts) {
      if (minor <= 0) continue;
      const part = element('i', `part part-${name}`);
      part.style.flexGrow = String(minor);
      bar.append(part);
      words.append(element('li', `part-${name}`, element('b', '', money(minor)), ` ${label}`));
    }
    place('money').replaceChildren(bar, words);
  }

  async showLedger() {
    const { orderId } = this;
    if (!orderId) return;
    const reply = await fetch(`/backstage/${orderId}/ledger`);
    const row = reply.ok ? await reply.json() : null;
    if (row === null || orderId !== this.orderId) return;
    const asked = row.requests.map((/** @type {any} */ each) =>
      element('li', each.times_seen > 1 ? 'again' : '', `${each.kind} ${money(each.amount_minor)}`,
        element('b', '', ` ×${each.times_seen}`)),
    );
    const total = `taken ${money(row.taken_minor)}${row.kind === 'preauth' ? `, released ${money(row.released_minor)}` : ''}`;
    const list = element('ul', 'asked', ...asked);
    const said = element('p', '', "The wallet's own ledger: ", element('b', '', total));
    this.stayingAtTheEnd(() => place('ledger').replaceChildren(said, list));
    list.hidden = asked.length === 0;
  }

  /** @param {Entry} entry */
  add(entry) {
    place('empty').hidden = true;
    // They come by several ways, and are shown in the order of their times.
    let index = this.entries.length;
    while (index > 0 && this.entries[index - 1].at > entry.at) index -= 1;
    this.entries.splice(index, 0, entry);
    this.stayingAtTheEnd(() => this.list.insertBefore(this.shown(entry), this.list.children[index] ?? null));
    this.count();
  }

  /** Who looks at the newest goes on doing so; who has scrolled up is left there. @param {() => void} change */
  stayingAtTheEnd(change) {
    const panel = this.list.parentElement ?? this.list;
    const atEnd = panel.scrollHeight - panel.scrollTop - panel.clientHeight < MOST_AT_THE_END_PX;
    change();
    if (atEnd) panel.scrollTop = panel.scrollHeight;
  }

  /** @param {Entry} entry */
  shown({ at, step: { number, from, to, words }, source, title, record, fate }) {
    const since = (at - this.entries[0].at) / 1000;
    const moved = source === 'state' && record.previous_state !== record.state;
    const head = element('summary', '',
      element('span', number ? 'number' : 'number none', number || '·'),
      element('span', 'what',
        element('span', 'who', source === 'state' ? 'paystate' : `${from} → ${to}`),
        element('span', 'words', words)),
      element('time', '', `+${since.toFixed(2)} s`),
    );
    const what = /** @type {Element} */ (head.querySelector('.what'));
    if (source === 'state') {
      const states = moved ? [record.previous_state, record.state].filter(Boolean) : [record.state];
      const pills = states.map((state) => element('span', `pill state-${state}`, state.replaceAll('_', ' ')));
      if (fate !== 'applied') pills.push(element('span', 'fate', String(fate)));
      what.append(element('span', 'pills', ...pills));
    }
    what.append(element('span', 'record-title', title));
    const details = element('details', '', head, element('pre', '', JSON.stringify(record, null, 2)));
    const item = element('li', `entry from-${source}`, details);
    item.dataset.number = number;
    return item;
  }

  count() {
    const badge = place('count');
    badge.textContent = String(this.entries.length);
    badge.hidden = this.entries.length === 0;
  }

  /** What is to come, for those who have not begun. */
  showFigures() {
    const figures = /** @type {const} */ ([
      ['payment', 'Buy the mug', 'a general payment'],
      ['preauth', 'Rent the power bank', 'a pre-authorization: frozen first, taken when the fee is known'],
    ]).map(([kind, title, words]) => {
      const rows = FIGURES[kind].map((name) => {
        const { number, from, to, words: done } = step(name, kind);
        const who = element('span', 'who', `${from} → ${to}`);
        return element('li', '', element('span', 'number', number), element('span', 'what', who,
          element('span', 'words', done)));
      });
      return element('section', 'figure', element('h3', '', title), element('p', 'quiet', words), element('ol', '', ...rows));
    });
    const invitation = element('p', 'invitation', "Do one of these on the phone. Each step of the wallet's guide appears " +
      'here as it happens, with its real record. At the cashier, let something go wrong.');
    place('empty').replaceChildren(invitation, element('div', 'figures', ...figures));
    place('empty').hidden = false;
  }
}
