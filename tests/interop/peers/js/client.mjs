// The client of the official JavaScript SDK, as a service: the twin of `a2a_sdk_client.py`, which says how it is called.

import { createServer } from "node:net";
import { createInterface } from "node:readline";

import {
  AgentCard,
  CancelTaskRequest,
  GetTaskRequest,
  ListTasksRequest,
  ListTasksResponse,
  Message,
  SendMessageRequest,
  StreamResponse,
  SubscribeToTaskRequest,
  Task,
} from "@a2a-js/sdk";
import {
  ClientFactory,
  ClientFactoryOptions,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
  createAuthenticatingFetchWithRetry,
} from "@a2a-js/sdk/client";

function factory(token) {
  const fetchImpl = createAuthenticatingFetchWithRetry(fetch, {
    headers: async () => (token === null ? {} : { Authorization: `Bearer ${token}` }),
    shouldRetryWithHeaders: async () => undefined,
  });
  return new ClientFactory(
    ClientFactoryOptions.createFrom(ClientFactoryOptions.default, {
      transports: [new JsonRpcTransportFactory({ fetchImpl })],
    }),
  );
}

async function* values(verb, url, token, params) {
  if (verb === "card") {
    yield AgentCard.toJSON(await new DefaultAgentCardResolver().resolve(url));
    return;
  }
  const client = await factory(token).createFromUrl(url);
  if (verb === "send") {
    const answer = await client.sendMessage(SendMessageRequest.fromJSON(params));
    yield "messageId" in answer ? { message: Message.toJSON(answer) } : { task: Task.toJSON(answer) };
  } else if (verb === "stream") {
    for await (const event of client.sendMessageStream(SendMessageRequest.fromJSON(params))) {
      yield StreamResponse.toJSON(event);
    }
  } else if (verb === "subscribe") {
    for await (const event of client.resubscribeTask(SubscribeToTaskRequest.fromJSON(params))) {
      yield StreamResponse.toJSON(event);
    }
  } else if (verb === "get") {
    yield Task.toJSON(await client.getTask(GetTaskRequest.fromJSON(params)));
  } else if (verb === "list") {
    yield ListTasksResponse.toJSON(await client.listTasks(ListTasksRequest.fromJSON(params)));
  } else if (verb === "cancel") {
    yield Task.toJSON(await client.cancelTask(CancelTaskRequest.fromJSON(params)));
  }
}

async function answer(call, say) {
  try {
    for await (const value of values(call.do, call.url, call.token, call.params)) say({ value });
    say({ end: true });
  } catch (error) {
    say({ error: { name: error.name, message: error.message } });
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
