"""A process that forks: the child asks on connections and locks of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

from freeplay_like.core.templates import PromptTemplate, TemplateMessage
from support.scripted_http import Asked, Reply, scripted_server

PROGRAM = """
import os, signal, sys, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is the point
from freeplay_like.prompts.backend import BackendPrompts
from freeplay_like.prompts.cache import CachedPrompts

prompts = CachedPrompts(BackendPrompts(sys.argv[1], "key", timeout_s=60))
assert prompts.get("p", "known", "prod").source == "backend"
threading.Thread(target=prompts.get, args=("p", "slow", "prod"), daemon=True).start()
while not prompts._held.flights:
    pass
prompts._held.lock.acquire()          # another thread held it at the moment of the fork
child = os.fork()
if child == 0:
    signal.alarm(50)  # it does not outlive the test
    known = prompts.get("p", "known", "prod").source
    slow = prompts.get("p", "slow", "prod").source
    print(os.getppid(), known, slow, flush=True)
    os._exit(0)
prompts._held.lock.release()
status = os.waitpid(child, 0)[1]
os._exit(os.waitstatus_to_exitcode(status))
"""


def test_a_child_neither_waits_for_its_parents_fetch_nor_uses_its_connections() -> None:
    message = TemplateMessage(role="user", content="x")
    body = json.dumps(PromptTemplate(name="n", messages=(message,)).to_wire()).encode()
    done = threading.Event()
    slow_peers: list[tuple[str, int]] = []

    def answer(asked: Asked) -> Reply:
        if "/name/slow" in asked.path:
            slow_peers.append(asked.peer)
            if len(slow_peers) == 1:
                assert done.wait(60)
        return Reply(body=body)

    with scripted_server(answer) as server:
        program = subprocess.run(
            [sys.executable, "-c", PROGRAM, server.base], capture_output=True, text=True, timeout=60, check=False
        )
        done.set()
        assert program.stderr == ""
        assert program.returncode == 0
        assert program.stdout.split()[1:] == ["cache", "backend"]
        assert len(set(slow_peers)) == 2
