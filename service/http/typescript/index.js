// paystate's order API over `my.request`. Only GET and POST, as some of its hosts know no others.

/** An answer that says no (`status`, `problem`), or none at all: then `status` is 0, and nobody knows. */
export class OrdersError extends Error {
  constructor(status, problem, message) {
    super(message);
    this.name = "OrdersError";
    this.status = status;
    this.problem = problem;
  }
}

export function orders({ baseUrl, headers = {}, timeoutMs = 30_000, request = (wish) => my.request(wish) }) {
  const place = `${baseUrl.replace(/\/+$/, "")}/v1/orders`;

  function ask(method, url, body, idempotencyKey) {
    return new Promise((resolve, reject) => {
      const settle = (answer) => {
        const status = answer.status ?? 0;
        const told = typeof answer.data === "string" ? parsed(answer.data) : answer.data;
        if (status >= 200 && status < 300) resolve(told);
        else reject(new OrdersError(status, told, told?.detail ?? answer.errorMessage ?? `HTTP ${status}`));
      };
      const wish = {
        url,
        method,
        headers: { ...headers },
        dataType: "json",
        timeout: timeoutMs,
        success: settle,
        // Some hosts come here with any status but 200, and with the answer.
        fail: settle,
      };
      if (body !== undefined) {
        wish.headers["content-type"] = "application/json";
        wish.data = JSON.stringify(body);
      }
      if (idempotencyKey !== undefined) wish.headers["idempotency-key"] = idempotencyKey;
      request(wish);
    });
  }

  const of = (orderId) => `${place}/${encodeURIComponent(orderId)}`;
  return {
    create: (order, { idempotencyKey } = {}) => ask("POST", place, order, idempotencyKey),
    get: (orderId, { orderStr = false } = {}) => ask("GET", `${of(orderId)}${orderStr ? "?order_str=true" : ""}`),
    cancel: (orderId, body = {}, { idempotencyKey } = {}) => ask("POST", `${of(orderId)}/cancel`, body, idempotencyKey),
    complete: (orderId, body, { idempotencyKey } = {}) =>
      ask("POST", `${of(orderId)}/completions`, body, idempotencyKey),
    refund: (orderId, body, { idempotencyKey } = {}) => ask("POST", `${of(orderId)}/refunds`, body, idempotencyKey),
    clientResult: (orderId, resultCode, { idempotencyKey } = {}) =>
      ask("POST", `${of(orderId)}/client-result`, { result_code: String(resultCode) }, idempotencyKey),
  };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
