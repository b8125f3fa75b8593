// `my.*` in a browser: as much of it as the demo's mini program needs, with the types of @mini-types/alipay.

/**
 * What stands around the mini program: the phone.
 * @typedef {object} Phone
 * @property {(orderStr: string) => Promise<string>} openCashier the wallet's cashier over the page; answers its code
 * @property {(text: string, buttonText: string) => Promise<void>} alert
 * @property {(text: string, shownMs: number) => void} toast
 * @property {(url: string, replaces: boolean) => Promise<void>} open a page of the mini program
 * @property {(pages: number) => void} back
 * @property {(title: string) => void} setTitle
 * @property {(call: Call) => void} seen each call, and each answer, for whoever watches
 */

/**
 * @typedef {{ api: string, phase: 'call' | 'answer', at: number, detail: Record<string, unknown> }} Call
 */

/** @typedef {'tradePay' | 'request' | 'alert' | 'showToast' | 'navigateTo' | 'redirectTo' | 'navigateBack'} Asynchronous */
/** @typedef {Pick<typeof my, Asynchronous | 'getStorageSync' | 'setStorageSync' | 'setNavigationBar'>} My */

const REQUEST_TIMEOUT_MS = 30_000; // as the wallet's own default
const TOAST_MS = 2_000;
const SHOP_GONE = 12; // "network failure", of my.request's error codes

/**
 * Calls back as the wallet does: `success` or `fail`, and then `complete`; and answers a promise.
 * @template T
 * @param {{ success?(data: T): void, fail?(error: any): void, complete?(either: any): void } | undefined} options
 * @param {Promise<T>} doing
 * @returns {Promise<T>}
 */
function told(options, doing) {
  const { success, fail, complete } = options ?? {};
  const answered = doing.then(
    (data) => {
      success?.(data);
      complete?.(data);
      return data;
    },
    (error) => {
      fail?.(error);
      complete?.(error);
      throw error;
    },
  );
  // Who gave callbacks does not wait for the promise: its failure must not look like a mistake of ours.
  if (fail ?? complete) answered.catch(() => {});
  return answered;
}

/**
 * A mini program reaches only the domains of a list; here that is one, the server which the page came from.
 * @param {string} url
 */
export function ofThisServer(url) {
  const { pathname, search } = new URL(url);
  return location.origin + pathname + search;
}

/**
 * @param {Phone} phone
 * @returns {My}
 */
export function createMy(phone) {
  /** @param {string} api @param {Call['phase']} phase @param {Call['detail']} detail */
  const seen = (api, phase, detail) => phone.seen({ api, phase, at: Date.now(), detail });

  /** @param {string} orderStr */
  async function tradePay(orderStr) {
    seen('tradePay', 'call', { orderStr });
    const resultCode = await phone.openCashier(orderStr);
    seen('tradePay', 'answer', { resultCode });
    return { resultCode };
  }

  /** @param {{ url: string, method?: string, headers?: Record<string, any>, data?: unknown }} options */
  async function request({ url, method = 'GET', headers = {}, data }) {
    const body = data === undefined || typeof data === 'string' ? data : JSON.stringify(data);
    const path = new URL(url).pathname;
    seen('request', 'call', { method, path, request: body && JSON.parse(body) });
    let reply;
    try {
      const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
      reply = await fetch(ofThisServer(url), { method, headers, body, signal });
    } catch (error) {
      throw { error: SHOP_GONE, errorMessage: String(error) };
    }
    const said = await reply.json();
    seen('request', 'answer', { method, path, status: reply.status, response: said });
    return { data: said, status: reply.status, headers: Object.fromEntries(reply.headers) };
  }

  return {
    tradePay: (options) => told(options, tradePay(options?.orderStr ?? '')),
    request: (options) => /** @type {any} */ (told(/** @type {any} */ (options), request(options))),
    alert: async (options) => {
      seen('alert', 'call', { content: options?.content });
      const text = [options?.title, options?.content].filter(Boolean).join('\n');
      await told(options, phone.alert(text, options?.buttonText ?? 'OK').then(() => ({})));
    },
    showToast: async (options) => phone.toast(options?.content ?? '', options?.duration ?? TOAST_MS),
    navigateTo: (options) => {
      seen('navigateTo', 'call', { url: options.url });
      return /** @type {any} */ (told(/** @type {any} */ (options), phone.open(options.url, false)));
    },
    redirectTo: (options) => {
      seen('redirectTo', 'call', { url: options.url });
      return /** @type {any} */ (told(/** @type {any} */ (options), phone.open(options.url, true)));
    },
    navigateBack: async (options) => phone.back(Number(options?.delta ?? 1)),
    setNavigationBar: async (options) => phone.setTitle(options?.title ?? ''),
    getStorageSync: ({ key }) => ({ data: JSON.parse(sessionStorage.getItem(key) ?? 'null') }),
    setStorageSync: ({ key, data }) => {
      sessionStorage.setItem(key, JSON.stringify(data));
      return { success: true };
    },
  };
}
