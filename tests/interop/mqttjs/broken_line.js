// Receives COUNT messages of QoS 2 in a session that stays, and breaks its connection three times while they come.
//   node broken_line.js PORT PROTOCOL_VERSION COUNT

const mqtt = require("mqtt");

const [port, version, count] = process.argv.slice(2).map(Number);
const client = mqtt.connect({
  host: "127.0.0.1",
  port,
  protocolVersion: version,
  clientId: "broken",
  clean: false,
  properties: version === 5 ? { sessionExpiryInterval: 60 } : undefined,
  reconnectPeriod: 10,
});
const got = [];

client.once("connect", async () => {
  await client.subscribeAsync("a", { qos: 2 });
  console.log("subscribed");
});
client.on("message", (topic, payload) => {
  got.push(payload.toString());
  if (got.length % Math.floor(count / 4) === 0 && got.length < count) client.stream.destroy();
  if (got[got.length - 1] === "the end") {
    console.log(JSON.stringify(got));
    client.end();
  }
});
