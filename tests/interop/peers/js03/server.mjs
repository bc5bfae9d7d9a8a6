// An agent on the official JavaScript SDK for A2A 0.3: the twin of `a2a_sdk_03_server.py`, which says what it does.

import { randomUUID } from "node:crypto";

import { DefaultRequestHandler, InMemoryPushNotificationStore, InMemoryTaskStore } from "@a2a-js/sdk/server";
import { UserBuilder, agentCardHandler, jsonRpcHandler, restHandler } from "@a2a-js/sdk/server/express";
import express from "express";

const text = (value) => [{ kind: "text", text: value }];
const canceled = new Map();
const gates = new Map();

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
    const first = { kind: "task", id: ids.taskId, contextId: ids.contextId, status: { state: "submitted" } };
    this.bus.publish(request.task ?? { ...first, artifacts: [], history: [request.userMessage] });
  }

  message(said) {
    return { kind: "message", messageId: randomUUID(), role: "agent", parts: text(said), ...this.ids };
  }

  status(state, said) {
    const message = said === undefined ? undefined : this.message(said);
    const final = ["completed", "failed", "canceled", "input-required"].includes(state);
    const status = { state, message, timestamp: new Date().toISOString() };
    this.bus.publish({ kind: "status-update", ...this.ids, status, final });
    if (final) this.bus.finished();
  }

  artifact(said, { id = randomUUID(), append = false } = {}) {
    const artifact = { artifactId: id, name: "answer", parts: text(said) };
    this.bus.publish({ kind: "artifact-update", ...this.ids, artifact, append, lastChunk: false });
  }

  pieces(from, to) {
    for (let number = from; number < to; number++) {
      this.artifact(`piece ${number} `, { id: "text", append: number > 0 });
    }
  }

  finish(said) {
    if (said !== undefined) this.artifact(said);
    this.status("completed");
  }
}

const verbs = {
  chunks(turn, rest) {
    turn.pieces(0, Number(rest));
    turn.finish();
  },
  async steps(turn, rest) {
    const [count, key] = rest.split(" ");
    for (let number = 0; number < Number(count); number++) {
      if (number > 0) await pass(key);
      turn.pieces(number, number + 1);
    }
    turn.finish();
  },
  ask(turn, rest) {
    turn.status("input-required", `Which ${rest}?`);
  },
  async slow(turn) {
    turn.pieces(0, 1);
    await new Promise((resolve) => canceled.set(turn.ids.taskId, resolve));
    turn.status("canceled");
  },
  fail(turn, rest) {
    turn.status("failed", rest);
  },
};

const agent = {
  async execute(request, bus) {
    const turn = new Turn(request, bus);
    const said = request.userMessage.parts.map((part) => part.text).join("");
    const [verb, ...words] = said.split(" ");
    if (verb === "message") {
      bus.publish({ ...turn.message(words.join(" ").toUpperCase()), taskId: undefined });
      bus.finished();
      return;
    }
    turn.task();
    turn.status("working");
    if (request.task !== undefined) turn.finish(said);
    else if (verb in verbs) await verbs[verb](turn, words.join(" "));
    else turn.finish(said.toUpperCase());
  },
  async cancelTask(taskId) {
    canceled.get(taskId)?.();
  },
};

const app = express();
const server = app.listen(0, "127.0.0.1", () => {
  const url = `http://127.0.0.1:${server.address().port}/`;
  const does = "Does what the first word says.";
  const card = {
    name: "official",
    description: does,
    version: "1.0.0",
    protocolVersion: "0.3.0",
    url,
    additionalInterfaces: [{ url, transport: "HTTP+JSON" }],
    capabilities: { streaming: true, pushNotifications: true },
    defaultInputModes: ["text/plain"],
    defaultOutputModes: ["text/plain"],
    skills: [{ id: "do", name: "do", description: does, tags: ["test"] }],
    supportsAuthenticatedExtendedCard: true,
  };
  const extended = async () => ({ ...card, description: "Does even more." });
  const pushes = new InMemoryPushNotificationStore();
  const requestHandler = new DefaultRequestHandler(
    card, new InMemoryTaskStore(), agent, undefined, pushes, undefined, extended,
  );
  app.post("/release/:key", (request, response) => {
    release(request.params.key);
    response.status(204).end();
  });
  app.use("/.well-known/agent-card.json", agentCardHandler({ agentCardProvider: requestHandler }));
  app.use(restHandler({ requestHandler, userBuilder: UserBuilder.noAuthentication }));
  app.use(jsonRpcHandler({ requestHandler, userBuilder: UserBuilder.noAuthentication }));
  console.log(url);
});
