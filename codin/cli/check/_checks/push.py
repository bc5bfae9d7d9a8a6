"""Push configurations. What is posted to a webhook cannot be seen from here."""

from __future__ import annotations

from codin.cli.check._bench import Bench, unknown_id
from codin.cli.check._check import check
from codin.cli.check._json import Json
from codin.cli.check._verdict import Unchecked

_PUSH = "pushNotifications"
_WRONG_PARAMETER = frozenset({-32602, 400, "INVALID_ARGUMENT"})


def _config(bench: Bench, task: str, **fields: str) -> Json:
    return {"taskId": task, "url": bench.wishes.webhook, **fields}


@check("PUSH-UNDECLARED", lacks=_PUSH)
async def push_undeclared(bench: Bench) -> None:
    """Where push is not declared, all four operations are PushNotificationNotSupported."""
    id = unknown_id()
    calls: dict[str, Json] = {
        "CreateTaskPushNotificationConfig": _config(bench, id),
        "GetTaskPushNotificationConfig": {"taskId": id, "id": "c-1"},
        "ListTaskPushNotificationConfigs": {"taskId": id},
        "DeleteTaskPushNotificationConfig": {"taskId": id, "id": "c-1"},
    }
    for method, params in calls.items():
        bench.refused(await bench.ask(method, params), "PushNotificationNotSupported", "PUSH-UNDECLARED")


@check("PUSH-INLINE-UNDECLARED", lacks=_PUSH)
async def push_inline_undeclared(bench: Bench) -> None:
    """Where push is not declared, a send that brings a configuration is PushNotificationNotSupported."""
    configuration = {"taskPushNotificationConfig": {"url": bench.wishes.webhook}}
    answer = await bench.ask("SendMessage", {"message": bench.message(), "configuration": configuration})
    bench.refused(answer, "PushNotificationNotSupported", "PUSH-INLINE-UNDECLARED")


async def _made(bench: Bench) -> tuple[Json, Json]:
    """An unfinished task, and a configuration of it as it was answered."""
    task = await bench.unfinished()
    answer = await bench.ask("CreateTaskPushNotificationConfig", _config(bench, task["id"], token="check"))
    if answer.refusal is not None and answer.refusal.code in _WRONG_PARAMETER:
        raise Unchecked(f"the server does not take the address; --webhook URL names another: {answer.received}")
    config = bench.result(answer, "PUSH-CREATE")
    bench.well_formed("TaskPushNotificationConfig", config, answer)
    return task, config


@check("PUSH-CREATE", "PUSH-CREATE-OBJECT", "PUSH-GET", "PUSH-LIST", "PUSH-SEVERAL", needs=_PUSH)
async def push_is_kept(bench: Bench) -> None:
    """A push configuration gets an id, and is read and listed as it was made."""
    task, config = await _made(bench)
    whole = bool(config.get("id")) and (config.get("taskId"), config.get("url")) == (task["id"], bench.wishes.webhook)
    bench.expect(whole, "PUSH-CREATE", "an id, the taskId and the url", str(config))
    got = await bench.ask("GetTaskPushNotificationConfig", {"taskId": task["id"], "id": config["id"]})
    same = {name: bench.result(got, "PUSH-GET").get(name) for name in ("id", "taskId", "url")}
    bench.expect(same == {name: config[name] for name in same}, "PUSH-GET", "the same id, taskId and url", got)
    other = await bench.ask("CreateTaskPushNotificationConfig", _config(bench, task["id"], id="check-2"))
    ids = {config["id"], str(bench.result(other, "PUSH-SEVERAL").get("id"))}
    listed = await bench.ask("ListTaskPushNotificationConfigs", {"taskId": task["id"]})
    found = {each.get("id") for each in bench.result(listed, "PUSH-LIST").get("configs") or ()}
    bench.expect(found == ids, "PUSH-LIST", f"the configurations {sorted(ids)}", listed)


@check("PUSH-DELETE", "PUSH-DELETE-AGAIN", "PUSH-GET-UNKNOWN", needs=_PUSH)
async def push_is_deleted(bench: Bench) -> None:
    """A push configuration that is deleted is gone, and may be deleted again."""
    task, config = await _made(bench)
    name = {"taskId": task["id"], "id": config.get("id")}
    for rule in ("PUSH-DELETE", "PUSH-DELETE-AGAIN"):
        answer = await bench.ask("DeleteTaskPushNotificationConfig", name)
        bench.expect(answer.refusal is None and not answer.fault, rule, "an empty answer", answer)
    bench.refused(await bench.ask("GetTaskPushNotificationConfig", name), "TaskNotFound", "PUSH-GET-UNKNOWN")


@check("PUSH-CREATE-UNKNOWN", "PUSH-SCOPE", needs=_PUSH)
async def push_unknown_task(bench: Bench) -> None:
    """A task that is not there has no push configurations: TaskNotFound."""
    id = unknown_id()
    made = await bench.ask("CreateTaskPushNotificationConfig", _config(bench, id))
    bench.refused(made, "TaskNotFound", "PUSH-CREATE-UNKNOWN")
    for method, params in (
        ("GetTaskPushNotificationConfig", {"taskId": id, "id": "c-1"}),
        ("ListTaskPushNotificationConfigs", {"taskId": id}),
    ):
        bench.refused(await bench.ask(method, params), "TaskNotFound", "PUSH-SCOPE")
