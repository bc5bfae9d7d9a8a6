// An agent on the official JavaScript SDK: the twin of `a2a_sdk_server.py`, which says what it does. With the argument
// `grpc` its card names gRPC, and nothing else.

import { randomUUID } from "node:crypto";

import { Role, TaskState } from "@a2a-js/sdk";
import {
  AgentEvent,
  DefaultRequestHandler,
  InMemoryPushNotificationStore,
  InMemoryTaskStore,
} from "@a2a-js/sdk/server";
import { UserBuilder, agentCardHandler, jsonRpcHandler, restHandler } from "@a2a-js/sdk/server/express";
import { A2AService, grpcService } from "@a2a-js/sdk/server/grpc";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import express from "express";

const text = (value) => ({ content: { $case: "text", value }, filename: "", mediaType: "", metadata: undefined });
const gates = new Map();
const ahead = new Map();
const canceled = new Map();

function gate(key) {
  if (!gates.has(key)) gates.set(key, { open: 0, waiting: [] });
  return gates.get(key);
}

async function pass(key) {
  const { waiting } = gate(key);
  if (gate(key).open > 0) gate(key).open--;
  else await new Promise((resolve) => waiting.push(resolve));
}

function release(key) {
  const next = gate(key).waiting.shift();
  if (next === undefined) gate(key).open++;
  else next();
}

class Turn {
  constructor(request, bus) {
    this.request = request;
    this.bus = bus;
    this.ids = { taskId: request.taskId, contextId: request.contextId };
  }

  task() {
    const { request, ids } = this;
    const status = { state: TaskState.TASK_STATE_SUBMITTED, message: undefined, timestamp: new Date().toISOString() };
    const first = { id: ids.taskId, contextId: ids.contextId, status, artifacts: [], history: [request.userMessage] };
    this.bus.publish(AgentEvent.task(request.task ?? { ...first, metadata: undefined }));
  }

  message(said) {
    const fields = { extensions: [], metadata: undefined, referenceTaskIds: [] };
    return { messageId: randomUUID(), role: Role.ROLE_AGENT, parts: [text(said)], ...this.ids, ...fields };
  }

  status(state, said) {
    const message = said === undefined ? undefined : this.message(said);
    const status = { state, message, timestamp: new Date().toISOString() };
    this.bus.publish(AgentEvent.statusUpdate({ ...this.ids, status, metadata: undefined }));
  }

  artifact(said, { id = randomUUID(), append = false } = {}) {
    const fields = { description: "", extensions: [], metadata: undefined };
    const artifact = { artifactId: id, name: "answer", parts: [text(said)], ...fields };
    this.bus.publish(
      AgentEvent.artifactUpdate({ ...this.ids, artifact, append, lastChunk: false, metadata: undefined }),
    );
  }

  pieces(from, to) {
    for (let number = from; number < to; number++) {
      this.artifact(`piece ${number} `, { id: "text", append: number > 0 });
    }
  }

  finish(said) {
    if (said !== undefined) this.artifact(said);
    this.status(TaskState.TASK_STATE_COMPLETED);
  }
}

const verbs = {
  chunks(turn, rest) {
    turn.pieces(0, Number(rest));
    turn.finish();
  },
  async steps(turn, rest) {
    const [count, key, more, lag] = rest.split(" ");
    ahead.set(turn.ids.taskId, { key, more: Number(more), lag: Number(lag) });
    for (let number = 0; number < Number(count); number++) {
      if (number > 0) await pass(key);
      turn.pieces(number, number + 1);
    }
    turn.finish();
  },
  ask(turn, rest) {
    turn.status(TaskState.TASK_STATE_INPUT_REQUIRED, `Which ${rest}?`);
  },
  async slow(turn) {
    turn.pieces(0, 1);
    await new Promise((resolve) => canceled.set(turn.ids.taskId, resolve));
    turn.status(TaskState.TASK_STATE_CANCELED);
  },
  fail(turn, rest) {
    turn.status(TaskState.TASK_STATE_FAILED, rest);
  },
  tenant(turn) {
    turn.finish(turn.request.context.tenant ?? "");
  },
  crash() {
    throw new Error("this text stays inside of the test");
  },
};

const agent = {
  async execute(request, bus) {
    const turn = new Turn(request, bus);
    const said = request.userMessage.parts.map((part) => part.content.value).join("");
    const [verb, ...words] = said.split(" ");
    if (verb === "message") {
      bus.publish(AgentEvent.message({ ...turn.message(words.join(" ").toUpperCase()), taskId: "" }));
      return;
    }
    turn.task();
    turn.status(TaskState.TASK_STATE_WORKING);
    if (request.task !== undefined) turn.finish(said);
    else if (verb in verbs) await verbs[verb](turn, words.join(" "));
    else turn.finish(said.toUpperCase());
  },
  async cancelTask(taskId) {
    canceled.get(taskId)?.();
  },
};

class Handler extends DefaultRequestHandler {
  async *resubscribe(params, context) {
    const { key, more, lag } = ahead.get(params.id) ?? { more: 0, lag: 0 };
    for (let number = 0; number < more; number++) release(key);
    for (let turn = 0; turn < lag; turn++) await new Promise(setImmediate);
    yield* super.resubscribe(params, context);
  }
}

// Serves gRPC as well, and lets the card name that alone.
async function overGrpc(requestHandler, card) {
  const server = new Server();
  server.addService(A2AService, grpcService({ requestHandler, userBuilder: UserBuilder.noAuthentication }));
  const port = await new Promise((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  const [first] = card.supportedInterfaces;
  card.supportedInterfaces = [{ ...first, url: `127.0.0.1:${port}`, protocolBinding: "GRPC" }];
}

const app = express();
const server = app.listen(0, "127.0.0.1", async () => {
  const url = `http://127.0.0.1:${server.address().port}/`;
  const card = {
    name: "official",
    description: "Does what the first word says.",
    version: "1.0.0",
    supportedInterfaces: ["JSONRPC", "HTTP+JSON"].map((protocolBinding) => ({
      url,
      protocolBinding,
      protocolVersion: "1.0",
      tenant: "",
    })),
    capabilities: { streaming: true, pushNotifications: true, extendedAgentCard: true, extensions: [] },
    securitySchemes: {},
    securityRequirements: [],
    defaultInputModes: ["text/plain"],
    defaultOutputModes: ["text/plain"],
    skills: [
      {
        id: "do",
        name: "do",
        description: "Does what the first word says.",
        tags: ["test"],
        examples: [],
        inputModes: [],
        outputModes: [],
        securityRequirements: [],
      },
    ],
    signatures: [],
  };
  const pushes = new InMemoryPushNotificationStore();
  const extended = async () => ({ ...card, description: "Does even more." });
  const requestHandler = new Handler(
    card, new InMemoryTaskStore(), agent, undefined, pushes, undefined, extended,
  );
  if (process.argv.includes("grpc")) await overGrpc(requestHandler, card);
  app.post("/release/:key", (request, response) => {
    release(request.params.key);
    response.status(204).end();
  });
  app.use("/.well-known/agent-card.json", agentCardHandler({ agentCardProvider: requestHandler }));
  app.post("/", jsonRpcHandler({ requestHandler, userBuilder: UserBuilder.noAuthentication }));
  app.use(restHandler({ requestHandler, userBuilder: UserBuilder.noAuthentication }));
  console.log(url);
});
