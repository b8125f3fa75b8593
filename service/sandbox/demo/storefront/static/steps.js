// The guide's two figures as tables: which of its steps is it that was seen? Source: the wallet's guide "Use OrderStr to
// pay in Mini Program", Payment process, figures 1 and 2. What the guide does not number has no number here either.
//
// Figure 2 begins to count anew but prints the call of my.tradePay as "Step 1.1.2.1", as in figure 1; it is step 5.

/** @typedef {{ number: string, from: string, to: string, words: string }} Step */

export const BUYER = 'buyer';
export const CLIENT = 'mini program';
export const SERVER = "shop's server";
export const APP = 'wallet app';
export const WALLET = "wallet's server";
export const PAYSTATE = 'paystate';

/** @type {Record<string, { payment: string, preauth: string, from: string, to: string, words: string }>} */
const TABLE = {
  placed: { payment: '1', preauth: '1', from: BUYER, to: CLIENT, words: 'places an order' },
  create_call: { payment: '1.1', preauth: '2', from: CLIENT, to: SERVER, words: 'my.request: create an order' },
  create: { payment: '1.1.1', preauth: '3', from: SERVER, to: PAYSTATE, words: 'creates the order' },
  create_answer: { payment: '1.1.2', preauth: '4', from: SERVER, to: CLIENT, words: 'returns the orderStr' },
  trade_pay: { payment: '1.1.2.1', preauth: '5', from: CLIENT, to: APP, words: 'my.tradePay with the orderStr' },
  look: { payment: '1.1.2.1.1', preauth: '6', from: APP, to: WALLET, words: 'hands the orderStr in' },
  looked: { payment: '1.1.2.1.2', preauth: '7', from: WALLET, to: APP, words: 'has verified it, and answers with the terms' },
  rendered: { payment: '1.1.2.1.3', preauth: '8', from: APP, to: BUYER, words: 'shows the cashier page' },
  broken: { payment: '1.1.2.1.3', preauth: '8', from: APP, to: BUYER, words: 'shows what is wrong with the orderStr' },
  pressed: { payment: '2', preauth: '10', from: BUYER, to: APP, words: 'confirms' },
  pay: { payment: '2.1', preauth: '11', from: APP, to: WALLET, words: 'carries it out' },
  shown: { payment: '2.2', preauth: '11', from: APP, to: BUYER, words: 'shows the result' },
  result: { payment: '2.3', preauth: '12', from: APP, to: CLIENT, words: 'my.tradePay answers' },
  callback: { payment: '2.3', preauth: '12', from: WALLET, to: SERVER, words: "the wallet's callback" },
  displayed: { payment: '2.3.1', preauth: '12', from: CLIENT, to: BUYER, words: 'shows where the order stands' },
  client_result: { payment: '', preauth: '', from: SERVER, to: PAYSTATE, words: 'hands on what the phone said' },
  result_call: { payment: '', preauth: '', from: CLIENT, to: SERVER, words: 'my.request: what tradePay said' },
  returned: { payment: '', preauth: '13', from: BUYER, to: CLIENT, words: 'has finished using the service' },
  return_call: { payment: '', preauth: '14', from: CLIENT, to: SERVER, words: 'my.request: the payment request' },
  complete: { payment: '', preauth: '15', from: SERVER, to: PAYSTATE, words: 'the service is completed, with its fee' },
  capture: { payment: '', preauth: '16', from: PAYSTATE, to: WALLET, words: 'sends the payment request: capture' },
  release: { payment: '', preauth: '16', from: PAYSTATE, to: WALLET, words: 'gives back what is left: release' },
  captured: { payment: '', preauth: '17', from: WALLET, to: PAYSTATE, words: 'returns the payment result' },
  settled: { payment: '', preauth: '17', from: WALLET, to: SERVER, words: "the wallet's callback of the capture or release" },
  cancel_call: { payment: '', preauth: '', from: CLIENT, to: SERVER, words: 'my.request: cancel the order' },
  cancel: { payment: '', preauth: '', from: SERVER, to: PAYSTATE, words: 'cancels the order' },
  close: { payment: '', preauth: '', from: PAYSTATE, to: WALLET, words: 'asks the wallet to close it' },
  asked: { payment: '', preauth: '', from: WALLET, to: PAYSTATE, words: 'evidence' },
};

/** @param {string} name @param {string} kind payment or preauth @param {Partial<Step>} [more] @returns {Step} */
export function step(name, kind, more = {}) {
  const { payment, preauth, from, to, words } = TABLE[name];
  return { number: kind === 'preauth' ? preauth : payment, from, to, words, ...more };
}

/** The guide's steps in its own order, for those who have not begun. */
export const FIGURES = {
  payment: ['placed', 'create_call', 'create', 'create_answer', 'trade_pay', 'look', 'looked', 'rendered', 'pressed', 'pay',
    'shown', 'result', 'displayed'],
  preauth: ['placed', 'create_call', 'create', 'create_answer', 'trade_pay', 'look', 'looked', 'rendered', 'pressed', 'pay',
    'result', 'returned', 'return_call', 'complete', 'capture', 'captured'],
};

/** Which step a state event belongs to. @param {any} event @returns {string} */
export function ofStateEvent(event) {
  if (event.trigger === 'create' || event.trigger === 'issue') return 'create';
  if (event.trigger === 'payment_succeeded' || event.trigger === 'authorization_granted') {
    return event.operation_kind === 'capture' && event.operation_state === 'reserved' ? 'capture' : 'callback';
  }
  if (event.operation_state === 'reserved') return event.operation_kind === 'refund' ? 'asked' : event.operation_kind;
  if (event.trigger === 'service_completed') return 'complete';
  if (event.trigger === 'client_result') return 'client_result';
  if (event.trigger === 'cancel') return 'cancel';
  if (/^(capture|release)_|operation_unknown/.test(event.trigger)) return 'captured';
  return 'asked';
}

/** Callbacks that answer the buyer's own act; all others of a pre-authorization come after a capture or a release. */
const OF_THE_BUYER = ['fund_auth_freeze', 'PAYMENT_RESULT'];

/** Which step a record of a topic is. @param {any} record @param {string} kind @param {Record<string, any>} callback */
export function ofRecord(record, kind, callback) {
  switch (record.topic) {
    case 'payment.state-events':
      return ofStateEvent(record.value);
    case 'service.completions':
      return 'complete';
    case 'wallet.callbacks':
      return kind === 'payment' || OF_THE_BUYER.includes(callback.notify_type ?? callback.notifyType) ? 'callback' : 'settled';
    default:
      if (record.value?.type === 'order.created') return 'create';
      return record.value?.type === 'order.client_result' ? 'client_result' : 'cancel';
  }
}
