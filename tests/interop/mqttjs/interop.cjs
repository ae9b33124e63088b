// MQTT.js against a broker:
//
//     node interop.cjs URL VERSION CLIENT_ID TOPIC [CA CERTIFICATE KEY]
//
// VERSION is 4 or 5; client ids begin with CLIENT_ID/, topics with TOPIC/. Each check says "ok NAME"; the first that fails
// says why and ends the program. The library is looked for in the folder FB_MQTTJS.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { once } = require("node:events");
const { createRequire } = require("node:module");

const mqtt = createRequire(path.join(process.env.FB_MQTTJS, "package.json"))("mqtt");

const [url, versionText, idPrefix, topicPrefix, ...files] = process.argv.slice(2);
const version = Number(versionText);
const [ca, cert, key] = files.map((file) => fs.readFileSync(file));
const patienceMs = 60000;

const topicOf = (name) => `${topicPrefix}/${name}`;

class Client {
  constructor(name, options = {}) {
    const { persistent = false, properties = {}, ...more } = options;
    if (version === 5) properties.sessionExpiryInterval = persistent ? 600 : 0;
    this.messages = [];
    this.mqtt = mqtt.connect(url, {
      protocolVersion: version, clientId: `${idPrefix}/${name}`, clean: !persistent, reconnectPeriod: 0, ca, cert, key,
      ...(version === 5 ? { properties } : {}), ...more,
    });
    this.mqtt.on("error", (e) => {
      // The library answers what comes while it ends, and then finds that it has ended.
      if (!this.ending || e.code !== "ERR_STREAM_WRITE_AFTER_END") throw e;
    });
    this.mqtt.on("message", (topic, payload, packet) => {
      this.messages.push({ topic, payload: payload.toString(), packet });
      this.mqtt.emit("queued");
    });
  }

  static async connected(name, options) {
    const client = new Client(name, options);
    const [connack] = await once(client.mqtt, "connect", { signal: AbortSignal.timeout(patienceMs) });
    client.sessionPresent = connack.sessionPresent;
    return client;
  }

  async subscribe(topic, qos, options = {}) {
    const [granted] = await this.mqtt.subscribeAsync(topic, { qos, ...options });
    assert.ok(granted.qos <= 2, `subscribe ${topic}: ${granted.qos}`);
  }

  publish(topic, payload, qos, options = {}) {
    return this.mqtt.publishAsync(topic, payload, { qos, ...options });
  }

  /** The next message, which must be this one; its packet. */
  async expect(payload, qos, retain = false) {
    if (this.messages.length === 0) await once(this.mqtt, "queued", { signal: AbortSignal.timeout(patienceMs) });
    const m = this.messages.shift();
    assert.equal(m.payload, payload);
    assert.deepEqual([m.packet.qos, m.packet.retain], [qos, retain], `QoS and retain of ${payload.slice(0, 40)}`);
    return m.packet;
  }

  /** The connection breaks: no DISCONNECT. */
  async drop() {
    const closed = once(this.mqtt, "close");
    this.mqtt.stream.destroy();
    await closed;
  }

  end() {
    this.ending = true;
    return this.mqtt.endAsync();
  }
}

// --- checks for both versions ---

async function eachQos() {
  const receiver = await Client.connected("in");
  const sender = await Client.connected("out");
  await receiver.subscribe(topicOf("qos"), 2);
  for (const qos of [0, 1, 2]) {
    await sender.publish(topicOf("qos"), "hello", qos);
    await receiver.expect("hello", qos);
  }
  const large = "x".repeat(1000000);
  await sender.publish(topicOf("qos"), large, 1);
  await receiver.expect(large, 1);
  await Promise.all([receiver.end(), sender.end()]);
}

async function manyAtATime() {
  const receiver = await Client.connected("in");
  const sender = await Client.connected("out");
  for (const qos of [1, 2]) {
    await receiver.subscribe(topicOf(`flood${qos}`), qos);
    const sent = [];
    for (let i = 0; i < 200; ++i) sent.push(sender.publish(topicOf(`flood${qos}`), String(i), qos));
    await Promise.all(sent);
    for (let i = 0; i < 200; ++i) await receiver.expect(String(i), qos);
  }
  await Promise.all([receiver.end(), sender.end()]);
}

async function retained() {
  const sender = await Client.connected("out");
  await sender.publish(topicOf("retained"), "kept", 1, { retain: true });
  const receiver = await Client.connected("in");
  await receiver.subscribe(topicOf("retained"), 1);
  await receiver.expect("kept", 1, true);
  await sender.publish(topicOf("retained"), "", 1, { retain: true });
  const late = await Client.connected("late");
  await late.subscribe(topicOf("retained"), 1);
  await sender.publish(topicOf("retained"), "live", 1);
  await late.expect("live", 1);
  await Promise.all([sender.end(), receiver.end(), late.end()]);
}

async function persistentSession() {
  const sender = await Client.connected("out");
  for (const qos of [1, 2]) {
    const topic = topicOf(`offline${qos}`);
    const before = await Client.connected("sleeper", { persistent: true });
    assert.equal(before.sessionPresent, qos === 2);
    await before.subscribe(topic, 2);
    await before.drop();
    for (let i = 0; i < 20; ++i) await sender.publish(topic, String(i), qos);
    const sleeper = await Client.connected("sleeper", { persistent: true });
    assert.equal(sleeper.sessionPresent, true);
    for (let i = 0; i < 20; ++i) await sleeper.expect(String(i), qos);
    await sleeper.end();
  }
  await (await Client.connected("sleeper")).end();
  await sender.end();
}

async function will() {
  const receiver = await Client.connected("in");
  await receiver.subscribe(topicOf("will"), 2);
  const mortal = await Client.connected("mortal", { will: { topic: topicOf("will"), payload: "gone", qos: 1 } });
  await mortal.drop();
  await receiver.expect("gone", 1);
  await receiver.end();
}

// --- checks for version 5 ---

async function requestAndResponse() {
  const asking = await Client.connected("asking");
  const answering = await Client.connected("answering");
  await answering.subscribe(topicOf("questions"), 2);
  await asking.subscribe(topicOf("answers"), 2);
  const correlationData = Buffer.from([0, 1, 255]);
  await asking.publish(topicOf("questions"), "?", 2, {
    properties: {
      responseTopic: topicOf("answers"), correlationData, contentType: "text/plain", payloadFormatIndicator: true,
      messageExpiryInterval: 1000, userProperties: { same: ["first", "second"] },
    },
  });
  const asked = (await answering.expect("?", 2)).properties;
  assert.deepEqual(asked.correlationData, correlationData);
  assert.deepEqual([...asked.userProperties.same], ["first", "second"]);
  assert.equal(asked.contentType, "text/plain");
  assert.ok(asked.messageExpiryInterval > 0 && asked.messageExpiryInterval <= 1000);
  await answering.publish(asked.responseTopic, "!", 1, { properties: { correlationData } });
  assert.deepEqual((await asking.expect("!", 1)).properties.correlationData, correlationData);
  await Promise.all([asking.end(), answering.end()]);
}

/** The library sets and resolves aliases by itself, in both directions. */
async function topicAlias() {
  const receiver = await Client.connected("in", { properties: { topicAliasMaximum: 5 } });
  const sender = await Client.connected("out", { autoAssignTopicAlias: true });
  await receiver.subscribe(topicOf("alias/#"), 1);
  let unnamed = 0;
  receiver.mqtt.on("packetreceive", (packet) => {
    if (packet.cmd === "publish" && packet.topic === "") ++unnamed;
  });
  for (let i = 0; i < 100; ++i) {
    await sender.publish(topicOf(`alias/${i % 10}`), String(i), 1);
    await receiver.expect(String(i), 1);
  }
  assert.ok(unnamed > 0, "no alias came from the broker");
  await Promise.all([receiver.end(), sender.end()]);
}

async function subscriptionOptions() {
  const own = await Client.connected("own");
  const other = await Client.connected("other");
  await other.publish(topicOf("options"), "old", 1, { retain: true });
  await own.subscribe(topicOf("options"), 1, { nl: true, rap: true, rh: 2, properties: { subscriptionIdentifier: 77 } });
  await own.publish(topicOf("options"), "mine", 1);
  await other.publish(topicOf("options"), "theirs", 1, { retain: true });
  assert.equal((await own.expect("theirs", 1, true)).properties.subscriptionIdentifier, 77);
  await other.publish(topicOf("options"), "", 1, { retain: true });
  await Promise.all([own.end(), other.end()]);
}

async function main() {
  const checks = [eachQos, manyAtATime, retained, persistentSession, will,
    ...(version === 5 ? [requestAndResponse, topicAlias, subscriptionOptions] : [])];
  for (const check of checks) {
    await check();
    console.log(`ok ${check.name}`);
  }
  process.exit(0);
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
