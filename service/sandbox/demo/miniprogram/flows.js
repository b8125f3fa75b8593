// Both flows of the wallet's guide, as a mini program makes them. What `my.tradePay` says proves nothing: it is handed
// to the shop's server, and the page then shows what the server has from paystate.
import { get, post } from './server.js';

/** A general payment: the price is known. */
export const buyMug = () => order('mug');

/** A pre-authorization: an amount is frozen now, and the fee is taken when it is known. */
export const rent = () => order('power_bank');

/**
 * The rented thing is back, and that is what ends the service: the shop's server captures the fee.
 * @param {string} orderId
 * @param {number} hours
 */
export const endRental = (orderId, hours) => post(`/api/orders/${orderId}/return`, { hours });

/** @param {string} orderId */
export const cancel = (orderId) => post(`/api/orders/${orderId}/cancel`, {});

/**
 * @param {string} orderId
 * @returns {Promise<Order>} the order as paystate has it
 */
export const look = (orderId) => get(`/api/orders/${orderId}`);

/**
 * Brings the order to the wallet's cashier.
 * @param {{ order_id: string, order_str: string }} made
 * @returns {Promise<{ orderId: string, resultCode: string }>}
 */
export async function pay(made) {
  // `success` also fires when nothing was paid; the code says how the buyer came back.
  const { resultCode } = await my.tradePay({ orderStr: made.order_str });
  if (!my.getStorageSync({ key: 'closesEarly' }).data) {
    await post(`/api/orders/${made.order_id}/result`, { result_code: resultCode });
  }
  return { orderId: made.order_id, resultCode };
}

/** @param {'mug' | 'power_bank'} item */
async function order(item) {
  const wallet = my.getStorageSync({ key: 'wallet' }).data || 'sandbox';
  return pay(await post('/api/orders', { item, wallet }));
}

/**
 * @typedef {object} Order amounts are totals, in minor units
 * @property {string} order_id
 * @property {'payment' | 'preauth'} kind
 * @property {string} state
 * @property {string} subject
 * @property {number} amount_minor
 * @property {number} frozen_minor
 * @property {number} taken_minor
 * @property {number} released_minor
 * @property {number} refunded_minor
 * @property {number} held_minor
 * @property {string[]} flags
 * @property {string | null} order_str while it can be paid
 */
