import { buyMug, rent } from '../../flows.js';

Page({
  data: { busy: false, problem: '' },

  onBuyMug() {
    return this.start(buyMug, '/pages/order/order');
  },

  onRent() {
    return this.start(rent, '/pages/rental/rental');
  },

  onSample() {
    my.navigateTo({ url: '/pages/sample/sample' });
  },

  /**
   * @param {() => Promise<{ orderId: string, resultCode: string }>} flow
   * @param {string} page where the result is shown
   */
  async start(flow, page) {
    this.setData({ busy: true, problem: '' });
    try {
      const { orderId, resultCode } = await flow();
      my.navigateTo({ url: `${page}?id=${orderId}&code=${resultCode}` });
    } catch (error) {
      this.setData({ problem: `That did not work: ${error instanceof Error ? error.message : 'try again'}` });
    }
    this.setData({ busy: false });
  },
});
