// An integrating system: it publishes what comes on standard input, and tells on standard output what it hears. It shares nothing
// with the platform but the broker.
// usage: node integrator.mjs AMQP_URL
//   a line in:  { "body": base64, "options": amqplib's options }
//   a line out: "ready", "published" once the broker has it, or the event as { exchange, messageId, contentType, type, text }
import { createInterface } from "node:readline";
import amqp from "amqplib";

const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

const connection = await amqp.connect(process.argv[2]);
const channel = await connection.createConfirmChannel();
channel.on("return", () => { throw new Error("There is no queue batch-inference-input"); });

const { queue } = await channel.assertQueue("", { exclusive: true });
for (const exchange of ["batch-inference-output", "batch-metrics", "model-updates"]) {
  await channel.assertExchange(exchange, "fanout", { durable: true });
  await channel.bindQueue(queue, exchange, "");
}
await channel.consume(
  queue,
  ({ fields, properties, content }) => say({
    exchange: fields.exchange,
    messageId: properties.messageId,
    contentType: properties.contentType,
    type: properties.headers.type,
    text: content.toString("utf8"),
  }),
  { noAck: true });
say("ready");

for await (const line of createInterface({ input: process.stdin })) {
  const { body, options } = JSON.parse(line);
  channel.sendToQueue("batch-inference-input", Buffer.from(body, "base64"), { persistent: true, mandatory: true, ...options });
  await channel.waitForConfirms();
  say("published");
}
await connection.close();
