import { runSample, SAMPLE_ORDER_STR } from './guide_sample.js';

Page({
  data: { orderStr: SAMPLE_ORDER_STR },

  onRun() {
    runSample();
  },
});
