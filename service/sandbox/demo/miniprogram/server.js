// The mini program's own server. It has to be on the list of domains that the wallet lets a mini program reach; in the
// browser that is the server which the page came from.
const SERVER = 'https://shop.example.com';

/**
 * @param {'GET' | 'POST'} method
 * @param {string} path
 * @param {Record<string, unknown>} [body]
 * @returns {Promise<any>} what the server said; rejects with its reason
 */
async function send(method, path, body) {
  const answer = await my.request({
    url: SERVER + path,
    method,
    headers: { 'content-type': 'application/json' },
    data: body === undefined ? undefined : JSON.stringify(body),
    dataType: 'json',
  });
  const said = /** @type {any} */ (answer.data);
  if (answer.status >= 400) throw new Error((said && said.reason) || `the shop answered ${answer.status}`);
  return said;
}

/** @param {string} path */
export const get = (path) => send('GET', path);

/**
 * @param {string} path
 * @param {Record<string, unknown>} body
 */
export const post = (path, body) => send('POST', path, body);
