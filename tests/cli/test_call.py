"""`codin call` with nobody at a terminal."""

from __future__ import annotations

import json
import re
import shlex
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from codin import a2a
from tests.cli.command import Running, free_port, run
from tests.cli.conftest import Done

Codin = Callable[..., Done]


def test_the_answer_is_all_there_is_on_standard_output(server: str) -> None:
    done = run("call", server, "hello")
    assert (done.returncode, done.stdout, done.stderr) == (0, "HELLO\n", "")


def test_text_comes_while_the_agent_works(server: str, codin: Codin) -> None:
    with Running("call", server, "gate") as call:
        call.expect("before ")
        assert codin("call", server, "open").out == "opened\n"
        assert call.wait() == 0
        assert call.out == "after\n"


def test_without_streaming_the_answer_is_the_same(server: str, codin: Codin) -> None:
    assert codin("call", server, "count 3", "--no-stream") == (0, "0 1 2 \n", "")
    assert codin("call", server, "count 3") == (0, "0 1 2 \n", "")


def test_standard_input_is_the_text(server: str) -> None:
    assert run("call", server, "-", stdin="a long\ntext").stdout == "A LONG\nTEXT\n"
    empty = run("call", server, "-", stdin=" \n")
    assert empty.returncode == 2
    assert "standard input is empty" in empty.stderr


def test_files_and_data_go_with_the_text(server: str, codin: Codin, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("n")
    done = codin("call", server, "tell", "--file", notes, "--file", notes, "--data", '{"n": [1]}')
    assert done.out == "text='tell' data={'n': [1]} files=notes.txt,notes.txt\n"


def test_data_may_go_without_a_text(server: str, codin: Codin) -> None:
    assert codin("call", server, "--data", "null").code == 0


def test_what_the_agent_says_about_its_work_is_not_the_answer(server: str, codin: Codin) -> None:
    assert codin("call", server, "work") == (0, "found\n", "searching\n")


def test_data_is_a_result_and_files_are_told(server: str, codin: Codin) -> None:
    done = codin("call", server, "give")
    value, end = json.JSONDecoder().raw_decode(done.out)
    assert value == {"total": 2, "name": "ä"}
    assert done.out[end:] == "\nsee the table\n"
    told, name, how = done.err.splitlines()
    assert (told, name) == ("file: ../table.csv (text/csv), 8 bytes", "numbers:")
    assert how.startswith(f"to save it: codin tasks {server} get ")


def test_a_file_that_was_only_told_of_is_saved_from_the_task(server: str, codin: Codin, tmp_path: Path) -> None:
    how = codin("call", server, "give").err.splitlines()[-1]
    *words, place = shlex.split(how.partition(": codin ")[2])
    assert place == "DIR"
    done = codin(*words, tmp_path / "out")
    assert (done.code, done.err) == (0, f"saved as {tmp_path / 'out' / 'table.csv'}\n")
    assert (tmp_path / "out" / "table.csv").read_bytes() == b"a,b\n1,2\n"
    assert "[../table.csv, 8 bytes]" in done.out


@pytest.mark.parametrize("mode", ["--stream", "--no-stream"])
def test_what_a_task_has_cost_is_said_to_who_wants_to_know(server: str, codin: Codin, mode: str) -> None:
    bill = "used 310 input tokens, 0.02 money"
    assert codin("call", server, "bill", mode).err == ""
    told, ids = codin("call", server, "bill", mode, "-v").err.splitlines()
    assert told == bill
    task_id = ids.split()[1].rstrip(";")
    assert codin("tasks", server, "get", task_id).out.splitlines()[2] == bill


@pytest.mark.parametrize("mode", ["--stream", "--no-stream"])
def test_a_task_is_gone_on_with_by_how_its_id_begins(server: str, codin: Codin, mode: str) -> None:
    task_id = codin("call", server, "ask").err.splitlines()[-1].split()[-2]
    assert codin("call", server, "--task", task_id[:12], "red", mode) == (0, "You chose red.\n", "")
    ended = codin("call", server, "--task", task_id[:12], "blue", mode)
    assert (ended.code, "leave out --task" in ended.err) == (5, True)
    unknown = codin("call", server, "--task", "nothing", "red", mode)
    assert (unknown.code, unknown.out) == (5, "")
    assert unknown.err == f"error: there is no task 'nothing'. Hint: codin tasks {server} lists yours\n"


@pytest.mark.parametrize("mode", ["--stream", "--no-stream"])
def test_files_are_saved_inside_the_folder_and_over_no_other(
    server: str, codin: Codin, tmp_path: Path, mode: str
) -> None:
    folder = tmp_path / "in" / "out"
    for _ in range(2):
        assert codin("call", server, "give", "--out", folder, mode).code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["table-2.csv", "table.csv"]
    assert (folder / "table.csv").read_bytes() == b"a,b\n1,2\n"
    assert sorted(path.name for path in folder.parent.iterdir()) == ["out"]


def test_json_prints_the_objects_of_the_stream(server: str, codin: Codin) -> None:
    done = codin("call", server, "count 2", "--json")
    events = [a2a.StreamResponse.from_json(line).value for line in done.out.splitlines()]
    assert isinstance(events[0], a2a.Task)
    texts = [a2a.text_of(e.artifact.parts) for e in events if isinstance(e, a2a.TaskArtifactUpdateEvent)]
    assert texts == ["0 ", "1 ", "0 1 "]
    last = events[-1]
    assert isinstance(last, a2a.TaskStatusUpdateEvent)
    assert last.status.state is a2a.TaskState.COMPLETED


def test_json_without_streaming_is_the_task(server: str, codin: Codin) -> None:
    done = codin("call", server, "hi", "--json", "--no-stream")
    (line,) = done.out.splitlines()
    task = a2a.SendMessageResponse.from_json(line).task
    assert task is not None
    assert a2a.text_of(task.artifacts[0].parts) == "HI"


@pytest.mark.parametrize(("text", "words"), [("fail", "failed: no luck"), ("reject", "rejected: not my job")])
@pytest.mark.parametrize("mode", ["--stream", "--no-stream"])
def test_a_task_that_ends_badly_is_exit_code_1(server: str, codin: Codin, text: str, words: str, mode: str) -> None:
    assert codin("call", server, text, mode) == (1, "", f"{words}\n")


@pytest.mark.parametrize("mode", ["--stream", "--no-stream"])
def test_a_question_tells_how_to_answer(server: str, codin: Codin, mode: str) -> None:
    asked = codin("call", server, "ask", mode)
    assert (asked.code, asked.out) == (3, "")
    question, *_, how = asked.err.splitlines()
    assert question == "Which colour?"
    words = how.split()
    assert words[:3] == ["codin", "call", server]
    assert words[-1] == "TEXT"
    assert codin(*words[1:-1], "red", mode) == (0, "You chose red.\n", "")


def test_data_that_only_repeats_the_question_is_not_shown(server: str, codin: Codin) -> None:
    assert codin("call", server, "repeat").err.splitlines()[1].startswith("input-required")


def test_an_answer_that_does_not_fit_is_asked_for_again(server: str, codin: Codin) -> None:
    asked = codin("call", server, "pick")
    assert asked.err.splitlines()[:2] == ["How long?", "one of: short, long"]
    words = asked.err.splitlines()[-1].split()[1:-1]
    again = codin(*words, "huge")
    assert again.code == 3
    assert again.err.startswith("That does not fit: ")
    assert codin(*words, "long") == (0, "You chose long.\n", "")


def test_what_goes_with_a_question_is_no_json(server: str, codin: Codin) -> None:
    asked = codin("call", server, "approve")
    assert asked.err.splitlines()[:4] == ["Approve it?", "draft.to: Ann", "draft.sum: 30", "one of: yes, no"]
    asked = codin("call", server, "fill")
    assert asked.err.splitlines()[:2] == [
        "Who?",
        "an answer in JSON, with name (string), age (integer or null, optional)",
    ]


def test_several_questions_are_answered_by_their_ids(server: str, codin: Codin) -> None:
    asked = codin("call", server, "order")
    *told, _, how = asked.err.splitlines()
    assert told == [
        "q-1: Which colour?",
        "one of: red, blue",
        "q-2: How many?",
        "stock: 7",
        "an answer of type integer",
    ]
    words = shlex.split(how)
    assert json.loads(words[-1]) == {"q-1": "…", "q-2": "…"}
    answered = codin(*words[1:-1], '{"q-1": "red", "q-2": 3}')
    assert answered.out == "data={'q-1': 'red', 'q-2': 3}\n"


@pytest.fixture
def curt() -> Iterator[str]:
    """An agent that asks without a word, and has ids that a shell would obey."""
    task = {"id": "$(date)", "contextId": "a;b", "status": {"state": "TASK_STATE_INPUT_REQUIRED"}}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            interface = {"url": address, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
            self._answer({"name": "curt", "version": "1", "supportedInterfaces": [interface]})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer({"jsonrpc": "2.0", "id": 1, "result": {"task": task}})

        def _answer(self, document: object) -> None:
            body = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield address
        server.shutdown()
        thread.join()


def test_a_question_without_words_is_one_too(curt: str, codin: Codin) -> None:
    asked = codin("call", curt, "hello")
    assert (asked.code, asked.out) == (3, "")
    assert asked.err.splitlines() == [
        "input-required: task $(date) waits for an answer",
        f"  codin call {curt} --task '$(date)' TEXT",
    ]


def test_a_wish_for_a_credential_is_exit_code_4(server: str, codin: Codin) -> None:
    asked = codin("call", server, "auth")
    assert (asked.code, asked.out) == (4, "")
    assert asked.err.startswith("The key, please.\nauth-required: task ")


def test_a_context_goes_on(server: str, codin: Codin) -> None:
    first = json.loads(codin("call", server, "one", "--json", "--no-stream").out)["task"]
    second = json.loads(codin("call", server, "two", "--json", "--no-stream", "--context", first["contextId"]).out)
    assert second["task"]["contextId"] == first["contextId"]
    assert second["task"]["id"] != first["id"]


def test_the_last_conversation_goes_on(server: str, codin: Codin) -> None:
    assert codin("call", server, "one", "--continue").err.startswith(f"error: no conversation with {server} is rem")
    first = json.loads(codin("call", server, "one", "--json", "--no-stream").out)["task"]
    second = json.loads(codin("call", server.rstrip("/"), "two", "--json", "--no-stream", "--continue").out)["task"]
    assert second["contextId"] == first["contextId"]
    assert "--continue goes without" in codin("call", server, "x", "--continue", "--context", "c").err


def test_what_is_remembered_cannot_break_a_call(
    server: str, codin: Codin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "state" / "codin" / "contexts.json"
    place.parent.mkdir(parents=True)
    place.write_text("[")
    assert codin("call", server, "hi") == (0, "HI\n", "")
    assert json.loads(place.read_text()).keys() == {server.rstrip("/")}
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    assert codin("call", server, "hi") == (0, "HI\n", "")


@pytest.mark.parametrize(("text", "before"), [("hi", ""), ("fail", "failed: no luck\n")])
def test_the_ids_are_told_to_those_who_ask(server: str, codin: Codin, text: str, before: str) -> None:
    told = codin("call", server, text, "-v").err
    ids = re.fullmatch(rf"{before}task (\w+); to go on: --continue, or --context (\w+)\n", told)
    assert ids is not None
    task = a2a.Task.from_json(codin("tasks", server, "get", ids[1], "--json").out)
    assert task.context_id == ids[2]


def test_an_ended_task_is_left_in_the_words_of_the_command(server: str, codin: Codin) -> None:
    task = json.loads(codin("call", server, "one", "--json", "--no-stream").out)["task"]
    done = codin("call", server, "two", "--task", task["id"])
    assert done.code == 5
    assert done.err.endswith(
        "has ended (TASK_STATE_COMPLETED). Hint: leave out --task; --context ID goes on with the conversation\n"
    )


def test_an_agent_at_another_address_is_named(server: str, codin: Codin) -> None:
    done = codin("call", f"{server}nope", "hello")
    assert done == (0, "HELLO\n", f"using the agent at {server}\n")


def test_a_lost_server_leaves_the_command_that_goes_on(tmp_path: Path) -> None:
    served = str(Path(__file__).parent / "served.py")
    options = ("--store", f"sqlite:///{tmp_path}/tasks.db", "--port", str(free_port()))
    with Running("serve", served, *options) as first:
        url = first.serving()
        with (
            Running("call", url, "gate", "--retry", "0") as leaves,
            Running("call", url, "gate", "--retry", "600") as stays,
        ):
            leaves.expect("before ")
            stays.expect("before ")
            first.kill()
            assert leaves.wait() == 5
            with Running("serve", served, *options) as second:
                second.serving()
                assert stays.wait() == 1
                assert stays.err.startswith("failed: The task was interrupted by restart.")
                (hint, error) = leaves.err.splitlines()
                assert error.startswith("error: ")
                words = hint.removeprefix("the task may go on: ").split()
                assert words[:4] == ["codin", "tasks", url, "tail"]
                tail = run(*words[1:])
                assert tail.stdout.split()[0] == words[-1] == "4"
                assert "failed" in tail.stdout


def test_ctrl_c_cancels_the_task(server: str, codin: Codin) -> None:
    with Running("call", server, "hang") as call:
        call.expect("waiting")
        call.interrupt()
        assert call.wait() == 1
        assert call.err.splitlines() == ["canceling the task; Ctrl-C again leaves at once", "the task is canceled"]
    assert "canceled" in codin("tasks", server, "--limit", "1").out


def test_a_second_ctrl_c_leaves_at_once() -> None:
    # On a server of its own: the task ends seconds later, and would be the newest in the list of another test.
    serve = ("serve", str(Path(__file__).parent / "served.py"), "--port", "0")
    with Running(*serve) as served, Running("call", served.serving(), "stubborn") as call:
        call.expect("waiting")
        call.interrupt()
        call.expect("canceling the task", "err")
        call.interrupt()
        assert call.wait() == 130
        assert "left; the task may go on: codin tasks" in call.err


def test_a_peer_that_is_not_there_is_one_line_and_exit_code_5() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        done = run("call", url, "hello")
    assert done.returncode == 5
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {url}/.well-known/agent-card.json could not be reached")
    assert line.endswith("Hint: is the server running, and the address right?")


def test_what_the_peer_refuses_is_exit_code_5(server: str, codin: Codin) -> None:
    done = codin("call", server, "hello", "--task", "nothing")
    assert done.code == 5
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ftp://x", "hi"], "'ftp://x' is not an http(s) URL"),
        (["http://127.0.0.1:1"], "Hint: - in the place of TEXT reads standard input"),
        (["http://127.0.0.1:1", "-5"], "behind --: codin call URL -- TEXT"),
        (["http://127.0.0.1:1", "hi", "--data", "{"], "--data is no JSON"),
        (["http://127.0.0.1:1", "hi", "--file", "nowhere.txt"], "'nowhere.txt' does not exist"),
        (["http://127.0.0.1:1", "hi", "--token", "a", "--token-file", __file__], "exclude each other"),
        (["http://127.0.0.1:1", "hi", "--token-file", __file__], "lines that might be the token"),
        (["http://127.0.0.1:1", "hi", "--timeout", "-1"], "'--timeout'"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(codin: Codin, arguments: list[str], words: str) -> None:
    done = codin("call", *arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert len(done.err.splitlines()) == 1


def test_a_refusal_without_a_word_names_the_options(codin: Codin) -> None:
    class Closed(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(401)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing of the test's own on standard error."""

    with HTTPServer(("127.0.0.1", 0), Closed) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        done = codin("call", f"http://127.0.0.1:{server.server_port}", "hi")
        server.shutdown()
        thread.join()
    assert done.code == 4
    assert done.err.endswith(
        "Hint: --token-file or CODIN_TOKEN give a bearer token, --api-key-file or CODIN_API_KEY an API key\n"
    )
