import socket

import pytest
import requests

from freeplay_like.local.scripts import Script
from freeplay_like.local.simulator import Simulator
from support.waiting import until


def test_the_simulator_runs_as_a_process_and_tells_what_it_saw(simulator_process: dict[str, str]) -> None:
    with requests.Session() as session:
        url = simulator_process["openai_base"] + "/chat/completions"
        answer = session.post(url, json={"model": "sim:chunks=1"}, timeout=10)
        seen = session.get(simulator_process["url"] + "/seen", timeout=10).json()
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"] == " tok0"
    assert seen["requests"][-1]["body"] == {"model": "sim:chunks=1"}


@pytest.mark.parametrize(
    ("model", "said"), [("sim:nonsense", b"known: chunks"), ("sim:raw=/no/file", b"cannot be read")]
)
def test_a_script_that_cannot_be_played_is_a_bad_request(simulator: Simulator, model: str, said: bytes) -> None:
    url = simulator.openai_base + "/chat/completions"
    answer = requests.post(url, json={"model": model, "stream": True}, timeout=10)
    assert answer.status_code == 400
    assert said in answer.content


def test_other_addresses_are_not_found(simulator: Simulator) -> None:
    assert requests.post(simulator.url + "/elsewhere", json={}, timeout=10).status_code == 404


def test_what_is_not_http_is_answered_with_400(simulator: Simulator) -> None:
    with socket.create_connection(("127.0.0.1", int(simulator.url.rpartition(":")[2]))) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")


def test_stopping_closes_what_is_open_and_may_be_done_twice() -> None:
    simulator = Simulator().start()
    with socket.create_connection(("127.0.0.1", int(simulator.url.rpartition(":")[2]))) as connection:
        until(lambda: simulator.connections == 1)
        simulator.stop()
        simulator.stop()
        assert connection.recv(10) == b""


def test_enqueued_scripts_come_first_and_in_order(simulator: Simulator) -> None:
    simulator.enqueue("text=one", "text=two")
    simulator.default = Script(text="rest")
    texts = []
    for _ in range(3):
        answer = requests.post(simulator.openai_base + "/chat/completions", json={"model": "gpt"}, timeout=10)
        texts.append(answer.json()["choices"][0]["message"]["content"])
    assert texts == ["one", "two", "rest"]
    assert len(simulator.wait_for_requests(3)) == 3
    with pytest.raises(TimeoutError, match="4 were awaited"):
        simulator.wait_for_requests(4, timeout_s=0.01)
