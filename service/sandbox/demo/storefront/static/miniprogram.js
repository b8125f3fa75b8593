// Runs a mini program's folder in a browser: app.json, pages with their template, style and logic, and page after page.
import { parseTemplate, render, toCss, update } from './axml.js';

const FOLDER = '/miniprogram';

/** @param {string} path @returns {Promise<string>} */
async function read(path) {
  const reply = await fetch(FOLDER + path);
  if (!reply.ok) throw new Error(`${path}: ${reply.status}`);
  return reply.text();
}

/** One page that is open: its logic's `this`. */
class OpenPage {
  /** @param {any} kind @param {HTMLElement} host @param {(tap: string) => void} onTap */
  constructor(kind, host, onTap) {
    this.kind = kind;
    this.host = host;
    const root = host.attachShadow({ mode: 'open' });
    root.adoptedStyleSheets = kind.styles;
    this.place = document.createElement('div');
    this.place.style.minHeight = '100%';
    root.append(this.place);
    const logic = Object.create(kind.logic);
    logic.data = structuredClone(kind.logic.data ?? {});
    logic.route = kind.path;
    logic.setData = (/** @type {object} */ change) => {
      Object.assign(logic.data, change);
      this.draw();
    };
    this.logic = logic;
    root.addEventListener('click', (event) => {
      const target = event.target instanceof Element ? event.target.closest('[data-on-tap]') : null;
      if (!(target instanceof HTMLElement) || target.hasAttribute('disabled')) return;
      const name = target.dataset.onTap ?? '';
      onTap(name);
      const dataset = { ...target.dataset };
      logic[name]({ type: 'tap', target: { dataset }, currentTarget: { dataset } });
    });
    this.draw();
  }

  draw() {
    const asset = (/** @type {string} */ src) => FOLDER + src;
    update(this.place, render(this.kind.template, this.logic.data, asset));
  }
}

/**
 * @param {object} phone
 * @param {HTMLElement} phone.screen where pages are put
 * @param {(title: string, canGoBack: boolean) => void} phone.onPage
 * @param {(tap: string) => void} phone.onTap
 */
export async function createMiniProgram({ screen, onPage, onTap }) {
  const app = JSON.parse(await read('/app.json'));
  const appStyle = new CSSStyleSheet();
  appStyle.replaceSync(`:host { display: block; min-height: 100%; } * { box-sizing: border-box; }
    button { font: inherit; cursor: pointer; } ${toCss(await read('/app.acss'))}`);
  /** @type {Map<string, Promise<any>>} */
  const kinds = new Map();
  /** @type {OpenPage[]} */
  const open = [];

  /** @type {any} */
  let registered = null;
  const globals = /** @type {any} */ (globalThis);
  globals.App = (/** @type {any} */ options) => options.onLaunch?.();
  globals.Page = (/** @type {any} */ options) => {
    registered = options;
  };
  await import(`${FOLDER}/app.js`);

  /** @param {string} path */
  async function load(path) {
    const [template, style, settings] = await Promise.all([
      read(`${path}.axml`),
      read(`${path}.acss`),
      read(`${path}.json`),
    ]);
    await import(`${FOLDER}${path}.js`);
    const own = new CSSStyleSheet();
    own.replaceSync(toCss(style));
    const title = JSON.parse(settings).defaultTitle ?? app.window.defaultTitle;
    return { path, title, logic: registered, template: parseTemplate(template), styles: [appStyle, own] };
  }

  function showTop() {
    const top = open[open.length - 1];
    for (const page of open) page.host.hidden = page !== top;
    onPage(top.kind.title, open.length > 1);
  }

  function close() {
    const page = open.pop();
    page?.logic.onUnload?.();
    page?.host.remove();
  }

  return {
    first: `/${app.pages[0]}`,

    /** @param {string} url @param {boolean} replaces */
    async open(url, replaces) {
      const [path, query = ''] = url.split('?');
      if (!app.pages.includes(path.slice(1))) throw { error: 10, errorMessage: `no such page: ${path}` };
      if (!kinds.has(path)) kinds.set(path, load(path));
      const kind = await kinds.get(path);
      const host = document.createElement('div');
      host.className = 'mini-page';
      if (replaces) close();
      screen.append(host);
      const page = new OpenPage(kind, host, onTap);
      open.push(page);
      showTop();
      page.logic.onLoad?.(Object.fromEntries(new URLSearchParams(query)));
    },

    /** @param {number} pages */
    back(pages) {
      for (let n = 0; n < pages && open.length > 1; n += 1) close();
      showTop();
    },
  };
}
