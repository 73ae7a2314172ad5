// Publishes to itself with every QoS, retained and with properties, and prints what came back, a line of JSON each.
//   node conversation.js PORT PROTOCOL_VERSION

const mqtt = require("mqtt");

const [port, version] = process.argv.slice(2).map(Number);
const options = {
  host: "127.0.0.1",
  port,
  protocolVersion: version,
  protocolId: version === 3 ? "MQIsdp" : "MQTT",
  clientId: "conversation",
  reconnectPeriod: 0,
};
const properties = {
  payloadFormatIndicator: true,
  messageExpiryInterval: 1000,
  contentType: "text/plain",
  responseTopic: "answers",
  correlationData: Buffer.from("7"),
  userProperties: { colour: ["blue", "green"], size: "large" },
};

function plain(received) {
  const { correlationData, userProperties, ...rest } = received;
  return { ...rest, correlationData: correlationData?.toString(), userProperties: { ...userProperties } };
}

async function main() {
  const client = await mqtt.connectAsync(options);
  let wanted = 4;
  const everything = new Promise((resolve) => {
    client.on("message", (topic, payload, packet) => {
      const { qos, retain } = packet;
      const line = { topic, payload: payload.toString(), qos, retain };
      if (packet.properties) line.properties = plain(packet.properties);
      console.log(JSON.stringify(line));
      wanted -= 1;
      if (wanted === 0) resolve();
    });
  });
  const more = version === 5 ? { properties } : {};
  await client.publishAsync("kept", "old", { qos: 1, retain: true, ...more });
  await client.subscribeAsync(["kept", "live/#"], { qos: 2 });
  for (const qos of [0, 1, 2]) {
    await client.publishAsync(`live/${qos}`, `payload ${qos}`, { qos, ...more });
  }
  await everything;
  await client.unsubscribeAsync(["kept", "live/#"]);
  await client.endAsync();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
