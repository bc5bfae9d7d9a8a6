// The client of the official JavaScript SDK, as a service: the twin of `a2a_sdk_client.py`. `lines.py` says how it is called.

import { createServer } from "node:net";
import { createInterface } from "node:readline";

import {
  AgentCard,
  CancelTaskRequest,
  DeleteTaskPushNotificationConfigRequest,
  GetTaskPushNotificationConfigRequest,
  GetTaskRequest,
  ListTaskPushNotificationConfigsRequest,
  ListTaskPushNotificationConfigsResponse,
  ListTasksRequest,
  ListTasksResponse,
  Message,
  SendMessageRequest,
  StreamResponse,
  SubscribeToTaskRequest,
  Task,
  TaskPushNotificationConfig,
} from "@a2a-js/sdk";
import {
  ClientFactory,
  ClientFactoryOptions,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory,
  RestTransportFactory,
  createAuthenticatingFetchWithRetry,
} from "@a2a-js/sdk/client";
import { GrpcTransportFactory } from "@a2a-js/sdk/client/grpc";

function factory(token, binding) {
  const fetchImpl = createAuthenticatingFetchWithRetry(fetch, {
    headers: async () => (token === null ? {} : { Authorization: `Bearer ${token}` }),
    shouldRetryWithHeaders: async () => undefined,
  });
  const Transport = { GRPC: GrpcTransportFactory, "HTTP+JSON": RestTransportFactory }[binding];
  const transports = [new (Transport ?? JsonRpcTransportFactory)({ fetchImpl })];
  return new ClientFactory({ ...ClientFactoryOptions.default, transports });
}

async function* values(verb, url, token, params, binding) {
  if (verb === "card") {
    const card = await new DefaultAgentCardResolver().resolve(url);
    // One that has the fields of 0.3 beside those of 1.0 comes as it was published, and not as the SDK's own object.
    yield AgentCard.toJSON("protocolVersion" in card ? AgentCard.fromJSON(card) : card);
    return;
  }
  const client = await factory(token, binding).createFromUrl(url);
  // gRPC does not use the `fetch` that knows the token; this is what it sends as metadata.
  const named = binding === "GRPC" && token !== null;
  const options = named ? { serviceParameters: { authorization: `Bearer ${token}` } } : undefined;
  if (verb === "send") {
    const answer = await client.sendMessage(SendMessageRequest.fromJSON(params), options);
    yield "messageId" in answer ? { message: Message.toJSON(answer) } : { task: Task.toJSON(answer) };
  } else if (verb === "stream") {
    for await (const event of client.sendMessageStream(SendMessageRequest.fromJSON(params), options)) {
      yield StreamResponse.toJSON(event);
    }
  } else if (verb === "subscribe") {
    for await (const event of client.resubscribeTask(SubscribeToTaskRequest.fromJSON(params), options)) {
      yield StreamResponse.toJSON(event);
    }
  } else if (verb === "get") {
    yield Task.toJSON(await client.getTask(GetTaskRequest.fromJSON(params), options));
  } else if (verb === "list") {
    yield ListTasksResponse.toJSON(await client.listTasks(ListTasksRequest.fromJSON(params), options));
  } else if (verb === "cancel") {
    yield Task.toJSON(await client.cancelTask(CancelTaskRequest.fromJSON(params), options));
  } else if (verb === "extended card") {
    yield AgentCard.toJSON(await client.getAgentCard(options));
  } else if (verb === "create_push") {
    const config = TaskPushNotificationConfig.fromJSON(params);
    yield TaskPushNotificationConfig.toJSON(await client.createTaskPushNotificationConfig(config, options));
  } else if (verb === "get_push") {
    const asked = GetTaskPushNotificationConfigRequest.fromJSON(params);
    yield TaskPushNotificationConfig.toJSON(await client.getTaskPushNotificationConfig(asked, options));
  } else if (verb === "list_push") {
    const asked = ListTaskPushNotificationConfigsRequest.fromJSON(params);
    yield ListTaskPushNotificationConfigsResponse.toJSON(await client.listTaskPushNotificationConfig(asked, options));
  } else if (verb === "delete_push") {
    const asked = DeleteTaskPushNotificationConfigRequest.fromJSON(params);
    await client.deleteTaskPushNotificationConfig(asked, options);
  }
}

async function answer(call, say) {
  try {
    for await (const value of values(call.do, call.url, call.token, call.params, call.binding)) say({ value });
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
