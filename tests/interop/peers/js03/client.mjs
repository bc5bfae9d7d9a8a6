// The client of the official JavaScript SDK for A2A 0.3: the twin of `a2a_sdk_03_client.py`, which says what it gives.

import { createServer } from "node:net";
import { createInterface } from "node:readline";

import {
  ClientFactory,
  ClientFactoryOptions,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
  RestTransportFactory,
} from "@a2a-js/sdk/client";

function factory(token, binding) {
  const fetchImpl = (url, init = {}) =>
    fetch(url, { ...init, headers: { ...init.headers, ...(token === null ? {} : { Authorization: `Bearer ${token}` }) } });
  const transports = [new JsonRpcTransportFactory({ fetchImpl }), new RestTransportFactory({ fetchImpl })];
  return new ClientFactory({ ...ClientFactoryOptions.default, transports, preferredTransports: [binding] });
}

async function* values(verb, url, token, { binding = "JSONRPC", ...params }) {
  const card = await new DefaultAgentCardResolver().resolve(url);
  if (verb === "card") {
    yield card;
    return;
  }
  const client = await factory(token, binding).createFromAgentCard(card);
  if (verb === "send") yield await client.sendMessage(params);
  else if (verb === "stream") yield* client.sendMessageStream(params);
  else if (verb === "subscribe") yield* client.resubscribeTask(params);
  else if (verb === "get") yield await client.getTask(params);
  else if (verb === "cancel") yield await client.cancelTask(params);
  else if (verb === "set push") yield await client.setTaskPushNotificationConfig(params);
  else if (verb === "get push") yield await client.getTaskPushNotificationConfig(params);
  else if (verb === "extended card") yield await client.getAgentCard();
}

async function answer(call, say) {
  try {
    for await (const value of values(call.do, call.url, call.token, call.params)) say({ value });
    say({ end: true });
  } catch (error) {
    say({ error: { name: error.constructor.name, message: error.message } });
  }
}

const server = createServer((socket) => {
  socket.on("error", () => {}); // the test does not want to know the rest
  createInterface({ input: socket }).once("line", async (line) => {
    await answer(JSON.parse(line), (value) => socket.write(`${JSON.stringify(value)}\n`));
    socket.end();
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
