// Looks at an order again and again until nothing more is to come.
import { look } from './flows.js';

const EVERY_MS = 500;
const ENDED = ['paid', 'captured', 'voided', 'expired', 'closed', 'refunded', 'partially_refunded'];

/** @param {import('./flows.js').Order} order */
export const isSettled = (order) => ENDED.includes(order.state) && order.held_minor === 0;

/**
 * @param {string} orderId
 * @param {(order: import('./flows.js').Order) => void} onOrder
 * @returns {() => void} ends it
 */
export function watch(orderId, onOrder) {
  let ended = false;
  async function again() {
    if (ended) return;
    try {
      const order = await look(orderId);
      if (ended) return;
      onOrder(order);
      if (isSettled(order)) return;
    } catch {
      // The next look may find the server again.
    }
    setTimeout(again, EVERY_MS);
  }
  again();
  return () => {
    ended = true;
  };
}
