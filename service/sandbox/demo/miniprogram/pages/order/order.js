import { cancel, pay } from '../../flows.js';
import { isSettled, watch } from '../../watching.js';
import { MAYBE, money, wordsFor } from '../../words.js';

Page({
  data: {
    id: '', code: '', orderStr: '', busy: false, canPay: false, settled: false,
    tone: 'busy', sign: '…', heading: 'One moment', words: '',
    /** @type {{ name: string, value: string, style: string }[]} */
    lines: [],
  },

  /** @type {() => void} */
  stop() {},

  /** @param {any} query */
  onLoad(query) {
    this.setData({ id: query.id, code: query.code });
    this.stop = watch(query.id, (order) => this.show(order));
  },

  onUnload() {
    this.stop();
  },

  /** @param {import('../../flows.js').Order} order */
  show(order) {
    const paid = order.taken_minor - order.refunded_minor;
    this.setData({
      ...wordsFor(order, this.data.code),
      orderStr: order.order_str || '',
      canPay: Boolean(order.order_str) && !MAYBE.includes(this.data.code),
      settled: isSettled(order),
      lines: [
        { name: 'What', value: order.subject, style: '' },
        { name: 'Order', value: order.order_id, style: '' },
        { name: 'Price', value: money(order.amount_minor), style: '' },
        { name: 'You paid', value: money(paid), style: 'row-total' },
      ],
    });
  },

  async onPay() {
    this.setData({ busy: true });
    const { resultCode } = await pay({ order_id: this.data.id, order_str: this.data.orderStr });
    this.setData({ busy: false, code: resultCode, canPay: false });
  },

  async onCancel() {
    this.setData({ busy: true });
    await cancel(this.data.id);
    my.showToast({ content: 'We ask the wallet to close it.' });
    this.setData({ busy: false });
  },

  onBack() {
    my.navigateBack();
  },
});
