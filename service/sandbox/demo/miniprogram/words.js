// What the buyer is told of an order. The state is paystate's; the phone's own result code only colours the waiting.

/** @typedef {{ tone: 'good' | 'busy' | 'bad' | 'idle', sign: string, heading: string, words: string }} Words */

/** @param {number} minor */
export const money = (minor) => `¥${(minor / 100).toFixed(2)}`;

/** Codes after which the wallet may well have done it. */
export const MAYBE = ['9000', '8000', '6004'];

/** @type {Record<string, [Words['tone'], string, string, string]>} */
const OF_STATE = {
  created: ['busy', '…', 'One moment', 'The order is being made.'],
  expiring: ['busy', '…', 'Closing the order', 'The wallet is asked to close it before we say that it is over.'],
  paid: ['good', '✓', 'Paid', 'Your mug is on its way.'],
  authorized: ['good', '✓', 'Enjoy the ride', 'The amount is frozen, not taken.'],
  capturing: ['busy', '…', 'Settling the fee', 'The wallet is asked for what the service cost.'],
  partially_captured: ['busy', '…', 'Settling the fee', 'A part has been taken.'],
  captured: ['good', '✓', 'Returned. Thank you!', 'The fee is paid; the rest is yours again.'],
  voiding: ['busy', '…', 'Giving it back', 'The frozen amount is being released.'],
  voided: ['idle', '–', 'Nothing was taken', 'All that was frozen is yours again.'],
  refunding: ['busy', '…', 'Paying back', 'The money is on its way back to you.'],
  refunded: ['idle', '–', 'Paid back', 'You have got everything back.'],
  partially_refunded: ['idle', '–', 'Paid back in part', 'A part of it is yours again.'],
  expired: ['idle', '–', 'Too late', 'The time to pay is over; nothing was taken.'],
  closed: ['idle', '–', 'Order cancelled', 'Nothing was taken.'],
};

/**
 * @param {import('./flows.js').Order} order
 * @param {string} code what `my.tradePay` said
 * @returns {Words}
 */
export function wordsFor(order, code) {
  if (order.state === 'paying') {
    return MAYBE.includes(code)
      ? { tone: 'busy', sign: '…', heading: 'Confirming', words: `The phone says ${code}. We ask the wallet itself.` }
      : { tone: 'bad', sign: '!', heading: 'Not paid yet', words: `The phone says ${code}. The order is still open.` };
  }
  const [tone, sign, heading, words] = OF_STATE[order.state] || ['busy', '…', order.state, ''];
  return { tone, sign, heading, words };
}
