"""llama.cpp's own HTTP server in a child process, speaking OpenAI's and Anthropic's wire formats on a loopback port.

    with LlamaServer(model_file) as llama:
        flavor = OpenAIChat("not-needed", llama.url)

The child is `python -m freeplay_like.local.llama`; see `child.py` for how it starts and ends.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import attrs

from freeplay_like.core.wire import to_wire
from freeplay_like.local.child import Child, ChildFailed, wait_for_parent
from freeplay_like.local.model import SMOLLM2, LocalModelError

_HOST: Final = "127.0.0.1"
_LOG_LINES: Final = 8

DEFAULT_THREADS: Final = max(1, min(4, (os.cpu_count() or 2) // 2))
"""Half the cores. llama.cpp's threads wait for one another at every step: with as many as cores, and anything else
running, an answer took 5 times as long as with one (measured on two cores); left alone, one takes 1.5 times as long.
"""


@attrs.frozen(kw_only=True)
class Ready:
    """The child's one line: where it answers, and the model's name there."""

    url: str
    model: str


class LlamaServer:
    """A llama.cpp server on 127.0.0.1; a context manager. It can be started again after `stop`.

    Args:
        model_file: the model, in GGUF format.
        alias: the name that requests ask for and answers carry.
        port: 0 picks a free one.
        threads: how many compute.
        slots: how many requests are answered at the same time, each with `context_tokens` of context.
        start_timeout_s: how long loading the model may take.
    """

    def __init__(
        self,
        model_file: Path,
        *,
        alias: str = SMOLLM2.name,
        port: int = 0,
        threads: int = DEFAULT_THREADS,
        slots: int = 2,
        context_tokens: int = 2048,
        start_timeout_s: float = 60.0,
    ) -> None:
        self.model = alias
        self._arguments = (
            f"--model-file={model_file}",
            f"--alias={alias}",
            f"--port={port}",
            f"--threads={threads}",
            f"--slots={slots}",
            f"--context-tokens={context_tokens}",
        )
        self._start_timeout_s = start_timeout_s
        self._child: Child | None = None
        self._url = ""

    @property
    def url(self) -> str:
        """The base address of its API, e.g. `http://127.0.0.1:41234/v1`; blank where it does not run."""
        return self._url

    @property
    def pid(self) -> int | None:
        """The child's process id; None where it does not run."""
        return self._child.pid if self._child is not None else None

    def start(self) -> Self:
        """Start the child and wait until it answers.

        Raises:
            LocalModelError: llama.cpp is not installed, or does not take the model or the port.
        """
        if find_spec("xllamacpp") is None:
            raise LocalModelError("llama.cpp is not installed: pip install 'freeplay-like[local]'")
        child = Child(__name__, self._arguments)
        try:
            self._url = child.ready(Ready, self._start_timeout_s).url
        except ChildFailed as exc:
            raise LocalModelError(self._why(exc)) from exc
        self._child = child
        return self

    def stop(self) -> None:
        """End the child and wait for it. Safe to call twice."""
        child, self._child, self._url = self._child, None, ""
        if child is not None:
            child.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _why(self, failed: ChildFailed) -> str:
        lines = [line for line in failed.log.splitlines() if line.strip()]
        errors = [line for line in lines if " E " in line] or lines
        said = "\n  ".join(errors[-_LOG_LINES:]) or "nothing"
        return (
            f"llama.cpp did not start within {self._start_timeout_s:g} s (exit status {failed.status}; "
            f"{' '.join(self._arguments)}). It said:\n  {said}"
        )


def main() -> None:
    """Serve a model until standard input ends."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__)
    parser.add_argument("--model-file", type=Path, required=True)
    parser.add_argument("--alias", default=SMOLLM2.name)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--threads", type=int, default=DEFAULT_THREADS)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--context-tokens", type=int, default=2048)
    arguments = parser.parse_args()

    from xllamacpp import CommonParams, Server  # type: ignore[import-untyped]  # an extension module without stubs

    parameters = CommonParams()
    parameters.model.path = str(arguments.model_file)
    parameters.model_alias = {arguments.alias}
    parameters.hostnames = [_HOST]
    parameters.port = arguments.port
    parameters.n_parallel = arguments.slots
    parameters.n_ctx = arguments.context_tokens * arguments.slots
    parameters.cpuparams.n_threads = arguments.threads
    parameters.cpuparams_batch.n_threads = arguments.threads
    parameters.n_gpu_layers = 0
    parameters.ui = False
    parameters.endpoint_slots = False
    parameters.cors_origins = ""  # no page in a browser may use it
    server = Server(parameters)
    ready = Ready(url=f"{server.listening_address}/v1", model=arguments.alias)
    sys.stdout.write(to_wire(ready).decode() + "\n")
    sys.stdout.flush()
    wait_for_parent()
    del server  # ends its threads; answers that still stream are cut off


if __name__ == "__main__":
    main()
