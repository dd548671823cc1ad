"""The liar's zoo: servers that lie, hang, crash and flood. Every one of them ends in an error of ours, bounded."""

import http.server
import json
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, UnavailableError
from modeltrust.domain.evaluation import Dialect, Served
from modeltrust.evaluation.answers import Answer
from modeltrust.evaluation.openai import Client, Several
from modeltrust.evaluation.preflight import preflight
from tests.support.endpoints import Speak, ToyModel, completion, model_speaks, send, served
from tests.support.evaluation_runs import private_bank

MODEL = ToyModel("honest")
PROMPTS = [text for _, texts in private_bank().prompts for text in texts[:4]]


def client(where: Served, **changes: Any) -> Client:
    return Client(where, deadline=time.monotonic() + 30, sleep=lambda _: None, **changes)


def asked(speak: Speak) -> None:
    with served(speak) as where:
        opened = client(where)
        try:
            opened.ask("what is a stone")
        finally:
            opened.close()


def raw(data: bytes, *, times: int = 1, close: bool = True) -> Speak:
    def speak(handler: http.server.BaseHTTPRequestHandler, _request: dict[str, Any]) -> None:
        handler.wfile.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + (b"connection: close\r\n" if close else b"") + b"\r\n"
        )
        for _ in range(times):
            handler.wfile.write(data)
        handler.close_connection = True

    return speak


def test_an_honest_server_is_read_as_the_model_answers() -> None:
    with served(model_speaks(MODEL)) as where:
        opened = client(where)
        assert opened.ask("what is a stone") == MODEL.ask("what is a stone")
        assert opened.ask("what is a stone", tokens=1).ended is False
        assert "today" in opened.write_turn(1)
        assert opened.requests == 3
        opened.close()


@dataclass
class Busy:
    """Counts how many requests it holds at once, and fails where it is asked to."""

    model: ToyModel
    held: int = 0
    most: int = 0
    answered: int = 0

    def ask(self, prompt: str, *, tokens: int = limits.EVALUATION_ANSWER_TOKENS) -> Answer:
        self.held += 1
        self.most = max(self.most, self.held)
        time.sleep(0.002)
        self.held -= 1
        if "broken" in prompt:
            raise UnavailableError("it fell over")
        self.answered += 1
        return self.model.ask(prompt, tokens=tokens)

    def write_turn(self, seed: int) -> str:
        return self.model.write_turn(seed)


def test_several_engines_share_the_work_and_each_is_asked_one_thing_at_a_time() -> None:
    engines = [Busy(MODEL), Busy(MODEL)]
    several = Several(engines)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(several.ask, PROMPTS * 3))
    assert found == [MODEL.ask(prompt) for prompt in PROMPTS * 3]
    assert [engine.most for engine in engines] == [1, 1]
    assert all(engine.answered for engine in engines)
    assert several.write_turn(3) == MODEL.write_turn(3)


def test_an_engine_whose_answer_does_not_come_is_asked_again_later_and_the_error_is_told() -> None:
    several = Several([Busy(MODEL)])
    for _ in range(2):
        with pytest.raises(UnavailableError):
            several.ask("broken")
    assert several.ask(PROMPTS[0]) == MODEL.ask(PROMPTS[0])


@pytest.mark.parametrize("dialect", Dialect)
def test_a_turn_is_drawn_from_the_whole_distribution_whatever_the_models_folder_says(dialect: Dialect) -> None:
    requests: list[dict[str, Any]] = []

    def speak(handler: http.server.BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        requests.append(request)
        send(handler, {"choices": [{"text": "Say red<end>In French"}]})

    with served(speak) as where:
        opened = client(replace(where, dialect=dialect))
        assert opened.write_turn(3) == "Say red"
        opened.close()
    whole = {"temperature": 1, "top_k": -1, "top_p": 1, "min_p": 0, "repetition_penalty": 1, "repeat_penalty": 1}
    assert whole.items() <= requests[0].items()
    assert requests[0].get("skip_special_tokens", True) is (dialect is not Dialect.VLLM)


def test_a_server_that_returns_gigabytes_is_cut_off() -> None:
    began = time.monotonic()
    with pytest.raises(LimitExceededError, match="bytes"):
        asked(raw(b" " * (1 << 20), times=10_000))
    assert time.monotonic() - began < 10


def test_a_server_that_never_ends_is_cut_off_by_the_clock() -> None:
    ticks = iter(range(0, 100_000, 50))

    def speak(handler: http.server.BaseHTTPRequestHandler, _request: dict[str, Any]) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(100):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.01)

    with served(speak) as where, pytest.raises(UnavailableError, match="does not end"):
        Client(where, deadline=1e9, clock=lambda: float(next(ticks)), sleep=lambda _: None).ask("x")


def test_a_server_that_closes_in_the_middle_is_asked_again_and_then_given_up() -> None:
    calls: list[int] = []

    def speak(handler: http.server.BaseHTTPRequestHandler, _request: dict[str, Any]) -> None:
        calls.append(1)
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf")
        handler.close_connection = True

    with pytest.raises(UnavailableError, match="middle of an answer"):
        asked(speak)
    assert len(calls) == 1 + limits.EVALUATION_RETRIES


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_overloaded_or_crashed_engine_is_unavailable(status: int) -> None:
    with pytest.raises(UnavailableError, match=f"status {status}"):
        asked(lambda handler, _: send(handler, {}, status=status))


@pytest.mark.parametrize("status", [301, 302, 400, 401, 404, 418])
def test_redirects_and_refusals_are_no_answers_and_are_not_followed(status: int) -> None:
    with pytest.raises(MalformedError, match=f"status {status}"):
        asked(lambda handler, _: send(handler, {}, status=status))


def test_an_encoded_body_is_refused() -> None:
    def speak(handler: http.server.BaseHTTPRequestHandler, _request: dict[str, Any]) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nxx")

    with pytest.raises(MalformedError, match="encoding"):
        asked(speak)


def test_nobody_listening_is_unavailable_and_the_token_is_told_to_nobody() -> None:
    where = Served("http://127.0.0.1:1", "toy", Dialect.VLLM, token="hush-hush")  # noqa: S106 - no password
    with pytest.raises(UnavailableError) as caught:
        client(where).ask("x")
    assert "hush" not in str(caught.value) + repr(where) + repr(client(where))


def test_the_token_is_sent_as_a_header() -> None:
    seen: list[str | None] = []

    def speak(handler: http.server.BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        seen.append(handler.headers["authorization"])
        model_speaks(MODEL)(handler, request)

    with served(speak) as where:
        client(replace(where, token="t1")).ask("x")  # noqa: S106 - no password
    assert seen == ["Bearer t1"]


def test_after_the_deadline_nothing_is_asked() -> None:
    with served(model_speaks(MODEL)) as where, pytest.raises(UnavailableError, match="deadline"):
        Client(where, deadline=time.monotonic() - 1).ask("x")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x",
        "http://u:p@x",
        "http://x/path",
        "http://x?q",
        "http://",
        "x",
        "http://X y",
        "http://x#f",
        "http://x:99999",
        "file:///etc/passwd",
    ],
)
def test_an_endpoint_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(MalformedError, match="endpoint"):
        client(Served(url, "m", Dialect.VLLM))


# --- preflight: what each liar is called ---------------------------------------------------------------------------------------


def problems(speak: Speak) -> str:
    with served(speak) as where:
        opened = client(where)
        found = preflight(opened, PROMPTS, whose="candidate")
        opened.close()
    assert found
    return "; ".join(f"{check.name}: {check.problem}" for check in found if check.problem)


def changed(change: Callable[[dict[str, Any], int], None]) -> Speak:
    count = [0]

    def speak(handler: http.server.BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        document = completion(MODEL.ask(request["messages"][0]["content"], tokens=request["max_tokens"]))
        count[0] += 1
        change(document["choices"][0], count[0])
        send(handler, document)

    return speak


def each(choice: dict[str, Any]) -> list[dict[str, Any]]:
    content = choice["logprobs"]["content"]
    return [item for entry in content for item in (entry, *entry["top_logprobs"])]


def test_an_honest_server_passes_preflight() -> None:
    assert problems(model_speaks(MODEL)) == ""


def test_a_server_without_log_probabilities_is_named() -> None:
    assert "without log-probabilities" in problems(changed(lambda choice, _: choice.update(logprobs=None)))


def test_a_server_without_ids_is_named() -> None:
    def drop(choice: dict[str, Any], _count: int) -> None:
        for item in each(choice):
            del item["id"]

    assert "without ids" in problems(changed(drop))


def test_a_server_that_lists_fewer_than_asked_is_named() -> None:
    def cut(choice: dict[str, Any], _count: int) -> None:
        for entry in choice["logprobs"]["content"]:
            entry["top_logprobs"] = entry["top_logprobs"][:5]

    assert "got 5 log-probabilities" in problems(changed(cut))


def test_a_server_that_invents_probabilities_is_named() -> None:
    def invent(choice: dict[str, Any], _count: int) -> None:
        for item in each(choice):
            item["logprob"] = -0.5

    assert "sum to" in problems(changed(invent))


def test_a_server_that_samples_is_named() -> None:
    def sample(choice: dict[str, Any], _count: int) -> None:
        choice["logprobs"]["content"][0]["id"] = choice["logprobs"]["content"][0]["top_logprobs"][7]["id"]

    assert "expected temperature 0" in problems(changed(sample))


def test_a_server_whose_log_probabilities_wander_is_named() -> None:
    def wander(choice: dict[str, Any], count: int) -> None:
        for entry in choice["logprobs"]["content"]:
            entry["top_logprobs"][0]["logprob"] = math.log(0.9 - 0.05 * (count % 7))

    assert "differ by more than" in problems(changed(wander))


def test_a_server_that_changes_its_answers_between_calls_is_named() -> None:
    def swap(choice: dict[str, Any], count: int) -> None:
        entry = choice["logprobs"]["content"][0]
        entry["id"] = entry["top_logprobs"][0]["id"] = 1_000 + count

    assert "two different answers" in problems(changed(swap))


def test_a_server_that_hides_the_end_is_named() -> None:
    def hide(choice: dict[str, Any], _count: int) -> None:
        if choice["finish_reason"] == "stop":
            choice["logprobs"]["content"].pop()

    assert "end is no position" in problems(changed(hide))


def test_a_server_that_never_stops_is_named() -> None:
    assert "no answer that ends" in problems(changed(lambda choice, _: choice.update(finish_reason="length")))


def test_a_server_that_dies_during_preflight_is_named() -> None:
    calls: list[int] = []

    def die(handler: http.server.BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        calls.append(1)
        if len(calls) > 4:
            send(handler, {}, status=500)
        else:
            model_speaks(MODEL)(handler, request)

    assert "does not answer" in problems(die)


def test_the_request_asks_for_what_the_statistic_needs() -> None:
    seen: list[dict[str, Any]] = []

    def speak(handler: http.server.BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        seen.append(request)
        model_speaks(MODEL)(handler, request)

    asked(speak)
    wanted = {"temperature": 0, "logprobs": True, "top_logprobs": 20, "max_tokens": 64, "cache_prompt": False}
    assert wanted.items() <= seen[0].items()
    assert seen[0]["return_tokens_as_token_ids"] is True
    json.dumps(seen[0])
