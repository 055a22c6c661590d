"""A simulated provider on a loopback port, for tests, demos and benchmarks: OpenAI (chat, text, responses), Azure,
Anthropic.

    with Simulator() as simulator:
        flavor = OpenAIChat("any key", simulator.openai_base)
        ...                                         # model="sim:chunks=20,delay_ms=5"
        assert simulator.requests[0].body["model"]

It runs in a thread of its own, or as a process: `python -m freeplay_like.local.simulator --port 0` prints its
addresses as one line of JSON. What to do is said for each request, the first that speaks wins: scripts given to
`enqueue`, the header `x-simulate`, a model name `sim:<script>`, and the simulator's `default` (see `scripts.Script`).
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import socket
import sys
import threading
from collections import deque
from types import TracebackType
from typing import Final

from freeplay_like.core.wire import JsonObject, to_wire
from freeplay_like.local.scripts import MODEL_PREFIX, Script
from freeplay_like.local.simulated_http import SeenRequest, ServedConnection

_BACKLOG: Final = 1024


class Simulator:
    """The simulated provider in a thread of its own; a context manager.

    `requests` and `connections` tell what it saw; `default` is the script of requests that ask for none, and may be
    set at any time.
    """

    def __init__(self, *, port: int = 0, default: Script | str = "") -> None:
        self.default: Script = Script.parse(default) if isinstance(default, str) else default
        self.requests: list[SeenRequest] = []
        self.connections = 0
        self._port = port
        self._queue: deque[Script] = deque()
        self._failures: dict[Script, int] = {}
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    # --- life ---

    def start(self) -> Simulator:
        """Bind the port and serve until `stop`."""
        listener = socket.create_server(("127.0.0.1", self._port))
        self._port = listener.getsockname()[1]
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(listener, ready), name="simulator", daemon=True)
        self._thread.start()
        ready.wait()
        return self

    def stop(self) -> None:
        """Close every connection and end the thread. Safe to call twice."""
        thread, self._thread = self._thread, None
        if thread is None or self._loop is None or self._stopping is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        thread.join()

    def __enter__(self) -> Simulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self, listener: socket.socket, ready: threading.Event) -> None:
        asyncio.run(self._serve(listener, ready))

    async def _serve(self, listener: socket.socket, ready: threading.Event) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        open_connections: set[ServedConnection] = set()
        server = await self._loop.create_server(
            lambda: ServedConnection(self, open_connections), sock=listener, backlog=_BACKLOG
        )
        ready.set()
        await self._stopping.wait()
        server.close()
        tasks = [connection.abort() for connection in list(open_connections)]
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # lets the transports say connection_lost before the loop closes

    # --- where it is, what it saw, what it is to do ---

    @property
    def url(self) -> str:
        """The address, without a path."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def openai_base(self) -> str:
        """What an OpenAI client takes as `base_url`."""
        return f"{self.url}/v1"

    @property
    def anthropic_base(self) -> str:
        """What an Anthropic client takes as `base_url`."""
        return self.url

    @property
    def azure_endpoint(self) -> str:
        """What an Azure client takes as `azure_endpoint`."""
        return self.url

    def enqueue(self, *answers: Script | str) -> None:
        """Scripts for the next requests, one each, before anything else is asked."""
        self._queue.extend(Script.parse(item) if isinstance(item, str) else item for item in answers)

    def wait_for_requests(self, count: int, timeout_s: float = 5.0) -> list[SeenRequest]:
        """The requests so far, as soon as there are `count`.

        Raises:
            TimeoutError: there were fewer by then.
        """
        with self._news:
            if not self._news.wait_for(lambda: len(self.requests) >= count, timeout_s):
                raise TimeoutError(f"{len(self.requests)} requests after {timeout_s} s, {count} were awaited")
            return list(self.requests)

    def clear(self) -> None:
        """Forget what was seen and what was enqueued."""
        with self._news:
            self.requests.clear()
            self._queue.clear()
            self._failures.clear()
            self.connections = 0

    # --- called by connections, in the simulator's thread ---

    def take_connection(self) -> int:
        """Count a connection."""
        self.connections += 1
        return self.connections

    def take_request(self, request: SeenRequest) -> None:
        """Keep a request and choose its script.

        Raises:
            ConfigurationError: its script does not parse.
        """
        with self._news:
            self.requests.append(request)
            request.number = len(self.requests)
            self._news.notify_all()
        request.script = self._script_for(request)

    def _script_for(self, request: SeenRequest) -> Script:
        if self._queue:
            return self._queue.popleft()
        header, model = request.headers.get("x-simulate"), request.body.get("model")
        if header is not None:
            return Script.parse(header)
        if isinstance(model, str) and model.startswith(MODEL_PREFIX):
            return Script.parse(model.removeprefix(MODEL_PREFIX))
        return self.default

    def is_failing(self, script: Script) -> bool:
        """Whether a script with a `status` fails this time."""
        if script.status is None:
            return False
        failed = self._failures.get(script, 0)
        self._failures[script] = failed + 1
        return script.fail_times is None or failed < script.fail_times

    def seen(self) -> JsonObject:
        """What `GET /seen` answers."""
        return {"connections": self.connections, "requests": [request.summary() for request in self.requests]}


def main() -> None:
    """Serve until interrupted; the addresses go to standard output as one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m freeplay_like.local.simulator", description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="the port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--default", default="", help="the script of requests that ask for none, e.g. chunks=20")
    arguments = parser.parse_args()
    _allow_many_connections()
    with Simulator(port=arguments.port, default=arguments.default) as simulator:
        addresses = {
            "url": simulator.url,
            "openai_base": simulator.openai_base,
            "anthropic_base": simulator.anthropic_base,
            "azure_endpoint": simulator.azure_endpoint,
        }
        sys.stdout.write(to_wire(addresses).decode() + "\n")
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


def _allow_many_connections() -> None:
    """As many open files as a process may have: the usual limit is passed by a thousand streams at once."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    main()
