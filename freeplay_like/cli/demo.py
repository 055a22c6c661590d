"""`freeplay-like demo`: a real model, a backend, a chat in the terminal, and the two records it left."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Final, Literal, NoReturn

import attrs
import click

from freeplay_like import UNSET, AnthropicClaudeChat, ChatSession, CompletionStream, Freeplay, OpenAIChat, Record, Usage
from freeplay_like.cli.demo_backend import DemoBackend
from freeplay_like.cli.demo_screen import Screen
from freeplay_like.cli.init import Ready
from freeplay_like.core.wire import JsonValue, from_wire, to_wire
from freeplay_like.errors import BackendError, ConfigurationError
from freeplay_like.flavors.base import Flavor
from freeplay_like.local.demo import demo_templates
from freeplay_like.local.llama import LlamaServer
from freeplay_like.local.model import SMOLLM2, get_model
from freeplay_like.server.pages.addresses import call_address
from freeplay_like.server.run import bind

Provider = Literal["local", "openai", "anthropic"]

PORT: Final = 8321
PROJECT: Final = "demo"
TEMPLATE: Final = "assistant"
QUESTION: Final = "What does a compiler do?"
FOLLOW_UP: Final = "Give an example."
FLUSH_S: Final = 30.0

ANSWER_LIMITS: Final[dict[Provider, JsonValue]] = {"local": UNSET, "openai": None, "anthropic": 512}
"""`max_tokens` of each provider's calls: the template's own, none (newer models of OpenAI's refuse it), and what
Anthropic will not go without."""


@attrs.frozen(kw_only=True)
class CallReport:
    """One recorded call, as the backend has it."""

    record_id: str
    model: str
    text: str
    usage: dict[str, int | None]
    time_to_first_chunk_ms: float | None
    url: str


@attrs.frozen(kw_only=True)
class Report:
    """What `--json` prints. The plain fields speak of the first call; `calls` has both."""

    session_id: str
    record_ids: list[str]
    model: str
    text: str
    usage: dict[str, int | None]
    time_to_first_chunk_ms: float | None
    url: str
    calls: list[CallReport]


@click.command()
@click.option("--once", is_flag=True, help="Stop everything when the two calls are recorded.")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object on standard output; all else on error.")
@click.option(
    "--provider",
    type=click.Choice(["local", "openai", "anthropic"]),
    default="local",
    show_default=True,
    help="Who answers: the small model on this machine, or a provider whose key is in its environment variable.",
)
@click.option("--model", help="The provider's model; needed with --provider openai or anthropic.")
@click.option(
    "--model-file", type=click.Path(dir_okay=False, path_type=Path), help="A GGUF file you have; nothing is fetched."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help=f"The backend's port; 0 takes a free one. [default: {PORT}; with --once a free one if that is taken]",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="The backend's data folder. [default: freeplay_like/demo in the user's state folder]",
)
def demo(
    *,
    once: bool,
    is_json: bool,
    provider: Provider,
    model: str | None,
    model_file: Path | None,
    port: int | None,
    data: Path | None,
) -> None:
    """Chat with a real language model, and look at the recorded calls in the browser.

    Starts the backend on SQLite and, unless a provider is named, a small model on this machine (93 MB, fetched once);
    streams an answer to a prompt template of the demo project, continues the conversation once, and prints where the
    two calls can be reviewed. The backend runs until Ctrl-C, which then exits with 0; what was recorded stays.
    """
    if (model is None) != (provider == "local"):
        raise click.UsageError(
            f"--provider {provider} needs --model NAME"
            if model is None
            else f"--model {model} needs --provider openai or anthropic; for a file of your own there is --model-file"
        )
    _stop_on_signals()
    data, port = data or _state_folder(), _usable_port(port, may_choose=once)
    with Screen(is_json=is_json) as screen, contextlib.ExitStack() as stack:
        with _flavor(provider, model_file, screen) as flavor:
            screen.say("starting the backend")
            backend = stack.enter_context(DemoBackend(data, port))
            project = backend.create_project(PROJECT, demo_templates())
            ours = UNSET if model is None else None  # None takes away what the template sets for the small model
            with Freeplay(
                flavor,
                project.api_key,
                project.api_base,
                model=model or UNSET,
                temperature=ours,
                seed=ours,
                max_tokens=ANSWER_LIMITS[provider],
            ) as freeplay:
                freeplay.warm()
                chat, record_ids = _chat(freeplay, project.project_id, screen)
                _deliver(freeplay)
        report = _report(chat, [_read_back(project, backend.url, record_id) for record_id in record_ids])
        if is_json:
            click.echo(to_wire(report))
        _show_addresses(report, project, screen)
        if once:
            screen.line(f"\nDone. To look at them: freeplay-like serve --data {data} --port {_port_of(backend.url)}")
        else:
            with contextlib.suppress(KeyboardInterrupt):
                screen.line("\nThe backend keeps running. Ctrl-C stops it.")
                backend.wait()


def _chat(freeplay: Freeplay, project_id: str, screen: Screen) -> tuple[ChatSession, list[str]]:
    """What a user of this package would write: a chat from a template, continued once. Its session and records."""
    variables = {"name": "Ada", "question": QUESTION}
    chat, messages, stream = freeplay.start_chat_stream(project_id, TEMPLATE, variables)
    for message in messages:
        screen.speaker(message["role"])
        screen.line(str(message["content"]))
    first = _show_answer(stream, screen)

    stream = chat.send_stream(FOLLOW_UP)
    screen.speaker("user")
    screen.line(FOLLOW_UP)
    second = _show_answer(stream, screen)
    return chat, [first, second]


def _deliver(freeplay: Freeplay) -> None:
    flushed = freeplay.flush(FLUSH_S)
    if not flushed.is_complete:
        raise BackendError(f"the backend did not take the records: {'; '.join(flushed.errors) or flushed}")


def _report(chat: ChatSession, calls: list[CallReport]) -> Report:
    first = calls[0]
    return Report(
        session_id=chat.session_id,
        record_ids=[call.record_id for call in calls],
        model=first.model,
        text=first.text,
        usage=first.usage,
        time_to_first_chunk_ms=first.time_to_first_chunk_ms,
        url=first.url,
        calls=calls,
    )


def _show_answer(stream: CompletionStream, screen: Screen) -> str:
    """Write the answer as it comes; its record's id."""
    screen.speaker("assistant")
    for chunk in stream:
        screen.write(chunk.text)
    screen.line()
    return stream.record_id


def _read_back(project: Ready, backend_url: str, record_id: str) -> CallReport:
    """A call as the backend has it: what is printed is what was stored."""
    import requests

    url = f"{project.api_base}/v2/projects/{project.project_id}/completions/{record_id}"
    answer = requests.get(url, headers={"Authorization": f"Bearer {project.api_key}"}, timeout=FLUSH_S)
    if not answer.ok:
        raise BackendError(f"record {record_id} cannot be read back: {answer.text}", status=answer.status_code, url=url)
    record = from_wire(answer.content, Record)
    usage = record.usage or Usage()
    return CallReport(
        record_id=record_id,
        model=record.model or "",
        text=record.text,
        usage={
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "total_tokens": usage.total_tokens,
        },
        time_to_first_chunk_ms=record.time_to_first_chunk_ms,
        url=backend_url + call_address(project.project_id, record_id),
    )


@contextlib.contextmanager
def _flavor(provider: Provider, model_file: Path | None, screen: Screen) -> Iterator[Flavor]:
    """How to speak to whoever answers; the model on this machine runs as long as this is open."""
    if provider == "openai":
        yield OpenAIChat()
    elif provider == "anthropic":
        yield AnthropicClaudeChat()
    else:
        path = get_model(screen, model_file=model_file)
        screen.say(f"starting llama.cpp with {SMOLLM2.title if model_file is None else path.name}")
        with LlamaServer(path) as llama:
            yield OpenAIChat("not-needed", llama.url)


def _show_addresses(report: Report, project: Ready, screen: Screen) -> None:
    first = report.calls[0]
    tokens = f"{first.usage['input_tokens']} tokens in, {first.usage['output_tokens']} out"
    screen.line(f"\n{report.model}: first text after {first.time_to_first_chunk_ms:.0f} ms, {tokens}")
    screen.line(f"\nSign in, once:  {project.admin_url}")
    screen.line(f"First call:     {report.calls[0].url}")
    screen.line(f"Second call:    {report.calls[1].url}")


def _usable_port(port: int | None, *, may_choose: bool) -> int:
    """The port, looked at before anything is fetched or started.

    Raises:
        ConfigurationError: it is taken.
    """
    try:
        bind("127.0.0.1", PORT if port is None else port).close()
    except ConfigurationError:
        if port is None and may_choose:
            return 0
        raise
    return PORT if port is None else port


def _port_of(url: str) -> str:
    return url.rpartition(":")[2]


def _state_folder() -> Path:
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "freeplay_like" / "demo"


def _stop_on_signals() -> None:
    """Let the signals that end a program end this one as Ctrl-C does: with everything it started stopped."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    handler: Callable[[int, FrameType | None], NoReturn] = interrupt
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)
