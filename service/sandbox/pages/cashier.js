// The cashier: shows what the wallet has verified of an order, and lets the buyer act. It knows nothing by itself.
//
// A shop frames it as /sandbox/cashier?opener=<the shop's origin>. They talk by postMessage, each to the other's exact
// origin: `ready` ->, <- `order` (the orderStr), `seen` (each exchange with the wallet's server) ->, `result` ->.

const FAILED = "4000";
// Long enough to be read; whoever is in a hurry has the button.
const SHOWN_MS = 1500;
// A late callback leaves time for what should come before it.
const LATE_S = 6;

const FAILURES = [
  ["network", "The network fails", "6002: the wallet never hears of it", { connection: "lost_before" }],
  ["unknown", "Nobody knows", "6004: it is done, but the phone cannot tell", { connection: "lost_after" }],
  ["lose", "Pay, and lose the callback", "9000, and the shop's server is never told", { callback: "lose" }],
  ["late", "Pay, callback late", `9000, and the callback takes ${LATE_S} s`, { callback: "late", delay_s: LATE_S }],
  ["twice", "Pay, callback twice", "9000, and the callback comes again", { callback: "twice" }],
  ["late-twice", "Pay, callback late and twice", `9000, then ${LATE_S} s, then two`, { callback: "twice", delay_s: LATE_S }],
];

const DIALECTS = { alipay: "Alipay OpenAPI, RSA2", alipay_plus: "Alipay+, RSA256" };
const STANDINGS = {
  paid: "This order is paid already.",
  frozen: "The amount is frozen already.",
  closed: "The shop has closed this order.",
};

const opener = allowedOpener(new URLSearchParams(location.search).get("opener"));
let orderStr = "";
let looked = null;

/** Only a shop on this machine: the answer of a cashier is for nobody else. */
function allowedOpener(given) {
  if (given === null || window.parent === window) return null;
  const url = new URL(given);
  return ["127.0.0.1", "localhost"].includes(url.hostname) ? url.origin : null;
}

function tell(message) {
  if (opener !== null) window.parent.postMessage({ from: "paystate-cashier", ...message }, opener);
}

function show(name, fields) {
  const screen = document.getElementById("screen");
  screen.replaceChildren(document.getElementById(name).content.cloneNode(true));
  for (const place of screen.querySelectorAll("[data-fill]")) {
    place.textContent = fields[place.dataset.fill] ?? "";
    place.hidden = place.textContent === "";
  }
  return screen;
}

function money(order) {
  try {
    return new Intl.NumberFormat("en", { style: "currency", currency: order.currency, currencyDisplay: "narrowSymbol" }).format(
      Number(order.amount),
    );
  } catch {
    return `${order.amount} ${order.currency}`;
  }
}

async function ask(step, path, body) {
  const at = Date.now();
  const reply = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const answer = await reply.json();
  const request = { ...body, order_str: `${body.order_str.slice(0, 40)}…` };
  const seen = { step, at, answered_at: Date.now(), method: "POST", path, request, status: reply.status };
  tell({ type: "seen", ...seen, response: answer });
  return { ok: reply.ok, answer };
}

async function look(text) {
  orderStr = text;
  const { ok, answer } = await ask("look", "/sandbox/look", { order_str: text });
  looked = answer;
  if (ok) showOrder(answer);
  else showBroken(answer);
}

function showOrder(order) {
  const freezes = order.kind === "preauth";
  const closed = order.standing !== "open";
  const screen = show("order", {
    ...order,
    kind: freezes ? "Pre-authorization" : "Payment",
    amount: money(order),
    deadline: new Date(order.deadline).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }),
    dialect: DIALECTS[order.dialect] ?? order.dialect,
    note: closed
      ? (STANDINGS[order.standing] ?? `The wallet refuses it: ${order.refusal}.`)
      : freezes
        ? "This amount is frozen, not taken. The shop takes what the service cost in the end, and the rest comes back."
        : "",
  });
  document.body.dataset.kind = order.kind;
  const confirm = screen.querySelector("#confirm");
  confirm.textContent = `${freezes ? "Freeze" : "Pay"} ${money(order)}`;
  confirm.addEventListener("click", () => act("confirm", {}));
  screen.querySelector("#cancel").addEventListener("click", () => act("cancel", {}));
  screen.querySelector("#failures").replaceChildren(...FAILURES.map(failureButton));
  if (closed) {
    confirm.textContent = "Back to the mini program";
    confirm.replaceWith(confirm.cloneNode(true));
    screen.querySelector("#confirm").addEventListener("click", () => finish(FAILED));
    screen.querySelector("#cancel").remove();
    screen.querySelector(".wrong").remove();
  }
  tell({ type: "seen", step: "rendered", at: Date.now() });
}

function failureButton([name, title, words, wish]) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.failure = name;
  const strong = document.createElement("strong");
  strong.textContent = looked.kind === "preauth" ? title.replace("Pay,", "Freeze,") : title;
  const span = document.createElement("span");
  span.textContent = words;
  button.append(strong, span);
  button.addEventListener("click", () => act("confirm", wish));
  return button;
}

async function act(action, wish) {
  for (const button of document.querySelectorAll("button")) button.disabled = true;
  tell({ type: "seen", step: "pressed", at: Date.now(), request: { action, ...wish } });
  const body = { order_str: orderStr, action, ...wish };
  const { ok, answer } = await ask("pay", "/sandbox/pay", body);
  document.getElementById("leave").disabled = false;
  showResult(ok ? answer.result_code : FAILED, answer.reason);
}

function showResult(code, reason) {
  const freezes = looked.kind === "preauth";
  const said = {
    9000: [freezes ? "Frozen" : "Paid", "ok", freezes ? "Enjoy the service." : "The shop will hear of it."],
    6001: ["Cancelled", "idle", "You have not paid."],
    6002: ["No network", "bad", "The wallet could not be reached."],
    6004: ["Not known", "bad", "The network broke while the wallet was at work. The shop will find out."],
  }[code] ?? ["Refused", "bad", reason ?? "The wallet did not take it."];
  const screen = show("result", {
    heading: said[0],
    amount: code === "9000" ? money(looked) : "",
    words: said[2],
    code,
  });
  document.body.dataset.result = said[1];
  tell({ type: "seen", step: "shown", at: Date.now(), response: { result_code: code, shown: said[0] } });
  screen.querySelector("#back").addEventListener("click", () => finish(code));
  if (opener !== null) setTimeout(() => finish(code), SHOWN_MS);
}

function showBroken(answer) {
  const { problems, damage, biz_content: biz, repaired, reason } = answer;
  const screen = show("broken", {
    reason: problems.length > 0 ? "The wallet does not take it. This is what happened to it:" : `The wallet says: ${reason}.`,
    seen: damage.length > 0 ? cut(orderStr, firstDifference(orderStr, repaired)) : "",
    meant: damage.length > 0 ? cut(repaired, firstDifference(orderStr, repaired)) : "",
  });
  screen.querySelector("#comparison").hidden = damage.length === 0;
  screen.querySelector("#problems").replaceChildren(
    ...problems.map((words) => Object.assign(document.createElement("li"), { textContent: words })),
  );
  const fields = Object.entries(biz ?? {}).filter(([, value]) => typeof value === "string");
  screen.querySelector("#readable").hidden = fields.length === 0;
  screen.querySelector("#fields").replaceChildren(...fields.map(([name, value]) => field(name, value)));
  screen.querySelector("#back").addEventListener("click", () => finish(FAILED));
  if (opener === null) screen.querySelector("#back").remove();
  tell({ type: "seen", step: "broken", at: Date.now(), response: answer });
}

function field(name, value) {
  const row = document.createElement("div");
  const term = Object.assign(document.createElement("dt"), { textContent: name });
  const text = Object.assign(document.createElement("dd"), { textContent: value });
  row.append(term, text);
  return row;
}

function firstDifference(one, other) {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at += 1;
  return at;
}

function cut(text, at) {
  const from = Math.max(0, at - 14);
  return `…${text.slice(from, at + 24)}…`;
}

let finished = false;
function finish(code) {
  if (finished) return;
  if (opener === null) {
    askForOrder();
    return;
  }
  finished = true;
  tell({ type: "result", result_code: code });
}

function askForOrder() {
  delete document.body.dataset.result;
  const form = show("ask", {}).querySelector("form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    look(form.querySelector("textarea").value.trim());
  });
}

document.getElementById("leave").addEventListener("click", () => {
  // Leaving what cannot be paid is no cancellation; leaving a result does not change it.
  const code = document.querySelector(".result [data-fill=code]")?.textContent;
  if (code) finish(code);
  else if (looked === null || !document.getElementById("cancel")) finish(looked === null ? "6001" : FAILED);
  else act("cancel", {});
});

if (opener === null) {
  const given = new URLSearchParams(location.search).get("order_str");
  if (given) look(given);
  else askForOrder();
} else {
  window.addEventListener("message", (event) => {
    if (event.origin !== opener || event.source !== window.parent || event.data?.type !== "order") return;
    look(String(event.data.order_str));
  });
  tell({ type: "ready" });
}
