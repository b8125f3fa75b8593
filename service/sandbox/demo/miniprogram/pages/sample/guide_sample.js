// The sample call of the wallet's guide ("Use OrderStr to pay in Mini Program", Sample code), as it is printed there.
// Its page has mangled it: `&timestamp` was read as HTML, where `&times` is a multiplication sign. It stays that way
// here, because that is what people copy.
export const SAMPLE_ORDER_STR =
  'app_id=2018112803019836&biz_content=%7B%22amount%22%3A%220.02%22%2C%22extra_param%22%3A%22%7B%5C%22category%5C%22%3A%5C%22CHARGE_PILE_CAR%5C%22%7D%22%2C%22order_title%22%3A%22%D6%A7%B8%B6%B1%A6%D4%A4%CA%DA%C8%A8%22%2C%22out_order_no%22%3A%22ZMOutOrderNoAppFreeze2018052915543415090975%22%2C%22out_request_no%22%3A%22ZMOutReqNoAppFreeze20180529155434581875858%22%2C%22pay_timeout%22%3A%222d%22%2C%22payee_user_id%22%3A%222088202224929664%22%2C%22product_code%22%3A%22PRE_AUTH_ONLINE%22%7D&charset=GBK&format=json&sign=L4wk%2FNKcbJOo3n6Q5qbPzn0jUsvZlK4jr7iXnghudR0zeWJMmeNC71qIBSQfIz45n%2B5iTd0NQ5IK581xI2xCShTCiKAywnQcDmA%2Bjf%2BrRdKCDQCMLfCz%2BZ37C%2B6zxAX3e81%2F8Hr29lw4VPFfHkp9FmMwKw%2FGkNfV5ZlWoh7UtN8%3D&sign_type=RSA×tamp=2018-05-29+15%3A54%3A35&version=1.0';

export function runSample() {
  my.tradePay({
    orderStr: SAMPLE_ORDER_STR,
    success: function(res) {
      my.alert({
        content: JSON.stringify(res),
      });
    },
    fail: function(res) {
      my.alert({
        content: JSON.stringify(res),
      });
    },
  });
}
