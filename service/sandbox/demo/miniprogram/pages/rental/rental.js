import { cancel, endRental, pay } from '../../flows.js';
import { isSettled, watch } from '../../watching.js';
import { MAYBE, money, wordsFor } from '../../words.js';

const HOUR_MINOR = 1000;
const CHOICES = [1, 3, 7, 12];

/** @param {number} hours */
const choicesWith = (hours) =>
  CHOICES.map((each) => ({
    hours: each,
    style: each === hours ? 'hour-chosen' : '',
    chosen: each === hours ? 'true' : 'false',
  }));

Page({
  data: {
    id: '', code: '', orderStr: '', busy: false, canPay: false, canReturn: false, returned: false, settled: false,
    tone: 'busy', sign: '…', heading: 'One moment', words: '',
    hours: 7, fee: money(7 * HOUR_MINOR), choices: choicesWith(7),
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
    const { code, returned } = this.data;
    const isOut = order.state === 'authorized' || (order.state === 'paying' && MAYBE.includes(code));
    const early = returned && order.state === 'paying';
    this.setData({
      ...wordsFor(order, code),
      ...(early ? { heading: 'Returned early', words: 'The fee waits until the wallet has confirmed the freeze.' } : {}),
      orderStr: order.order_str || '',
      canPay: Boolean(order.order_str) && !MAYBE.includes(code),
      canReturn: isOut && !returned,
      settled: isSettled(order),
      lines: [
        { name: 'What', value: order.subject, style: '' },
        { name: 'Order', value: order.order_id, style: '' },
        { name: 'Frozen', value: money(order.frozen_minor), style: '' },
        { name: 'Released', value: money(order.released_minor), style: '' },
        { name: 'You paid', value: money(order.taken_minor), style: 'row-total' },
      ],
    });
  },

  /** @param {{ currentTarget: { dataset: Record<string, string> } }} event */
  onHours(event) {
    const hours = Number(event.currentTarget.dataset.hours);
    this.setData({ hours, fee: money(hours * HOUR_MINOR), choices: choicesWith(hours) });
  },

  async onReturn() {
    this.setData({ busy: true });
    await endRental(this.data.id, this.data.hours);
    this.setData({ busy: false, returned: true, canReturn: false });
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
