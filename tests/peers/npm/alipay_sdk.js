// Drives npm's alipay-sdk: one JSON object a line on standard input, one a line on standard output.
import { createInterface } from "node:readline";
import { AlipaySdk } from "alipay-sdk";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const given = JSON.parse((await lines.next()).value);
const client = new AlipaySdk({
  appId: given.app_id,
  privateKey: given.app_key,
  alipayPublicKey: given.wallet_key,
  gateway: given.gateway,
  // Otherwise it renames what it was answered.
  camelcase: false,
});

const asked = {
  call: ({ method, biz }) =>
    client.exec(method, { bizContent: biz, notifyUrl: given.notify_url }, { validateSign: true }),
  order_string: ({ method, biz }) => client.sdkExecute(method, { bizContent: biz, notifyUrl: given.notify_url }),
  verifies: ({ params }) => client.checkNotifySignV2(params),
  // It tries with sign_type, too, so this is the same.
  verifies_order_string: ({ params }) => client.checkNotifySignV2(params),
  // Decodes once more what was decoded, as its older name for this does.
  verifies_decoding_twice: ({ params }) => client.checkNotifySign(params),
};

for await (const line of lines) {
  const { ask, ...wish } = JSON.parse(line);
  let answer;
  try {
    answer = { answer: await asked[ask](wish) };
  } catch (error) {
    answer = { raised: `${error.name}: ${error.message}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
