// The wallet's cashier over the mini program: an iframe, and what it tells us. Each side names the other's exact origin.

/**
 * @param {HTMLElement} sheet where it is put
 * @param {string} wallet the wallet's origin
 * @param {string} orderStr
 * @param {(seen: any) => void} onSeen each step that the wallet took
 * @returns {Promise<string>} the result code
 */
export function openCashier(sheet, wallet, orderStr, onSeen) {
  return new Promise((resolve) => {
    const frame = document.createElement('iframe');
    frame.title = "The wallet's cashier";
    frame.src = `${wallet}/sandbox/cashier?opener=${encodeURIComponent(location.origin)}`;
    /** @param {MessageEvent} event */
    function hear(event) {
      if (event.origin !== wallet || event.source !== frame.contentWindow) return;
      const { type, result_code: code } = event.data;
      if (type === 'ready') frame.contentWindow?.postMessage({ type: 'order', order_str: orderStr }, wallet);
      else if (type === 'seen') onSeen(event.data);
      else if (type === 'result') {
        window.removeEventListener('message', hear);
        sheet.hidden = true;
        sheet.replaceChildren();
        resolve(String(code));
      }
    }
    window.addEventListener('message', hear);
    sheet.replaceChildren(frame);
    sheet.hidden = false;
    frame.focus();
  });
}
