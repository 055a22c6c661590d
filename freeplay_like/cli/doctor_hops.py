"""The hops of a call, each tried and timed: what `freeplay-like doctor` does."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final, Literal, NoReturn

import attrs

from freeplay_like.backend_link import BackendLink, headers_for, new_session, project_path, segment
from freeplay_like.cli.place import project_of
from freeplay_like.core.wire import JsonObject
from freeplay_like.errors import AuthorizationError, BackendError, FreeplayError
from freeplay_like.recording.base import FlushReport
from freeplay_like.recording.folders import spool_candidates
from freeplay_like.recording.spool import spool_status

SKEW_S: Final = 5.0
"""How far the clocks of two machines may be apart before the order of calls suffers."""
LAG_S: Final = 5.0
"""How soon a call must be searchable."""
STUCK_S: Final = 60.0
"""How old a record of a process that is gone may be before its spool is called stuck."""
POLL_S: Final = 0.05

Verdict = Literal["ok", "warning", "failed", "skipped"]

_TEMPLATE: Final = """\
+++
model = "sim:text=All%20hops%20work."
+++
=== user ===
This is a call of `freeplay-like doctor`: {{mark}}
"""


@attrs.frozen(kw_only=True)
class Hop:
    """What became of one hop. `said` is what was found; `way_out` what to do about it."""

    name: str
    verdict: Verdict
    time_ms: float
    said: str
    way_out: str = ""


class HopFailed(Exception):
    """A hop that does not work, and what to do about it."""

    def __init__(self, said: str, way_out: str, *, is_warning: bool = False) -> None:
        super().__init__(said)
        self.way_out = way_out
        self.is_warning = is_warning


def warn(said: str, way_out: str) -> NoReturn:
    """End a hop that works, but not well."""
    raise HopFailed(said, way_out, is_warning=True)


@attrs.define(kw_only=True)
class Patient:
    """What is looked at, and what earlier hops found out."""

    api_base: str
    api_key: str
    spool_dir: Path | None = None
    timeout_s: float = 10.0
    sign_in_url: str | None = None
    project_id: str = ""
    mark: str = attrs.field(factory=lambda: f"doctor-{secrets.token_hex(8)}")
    record_id: str = ""
    flush: Callable[[float], FlushReport] | None = None
    figures: dict[str, float] = attrs.field(factory=dict)
    stack: ExitStack = attrs.field(factory=ExitStack)

    @property
    def root(self) -> str:
        """Where the server's own addresses are, beside its API."""
        return self.api_base.removesuffix("/").removesuffix("/api")

    def link(self) -> BackendLink:
        """A link to the API, closed at the end."""
        link = BackendLink(self.api_base, self.api_key, self.timeout_s)
        self.stack.callback(link.close)
        return link


def examine(patient: Patient) -> Iterator[Hop]:
    """Try every hop; one that needs a hop that failed is skipped."""
    failed: set[str] = set()
    with patient.stack:
        for name, needs, look in HOPS:
            missing = [each for each in needs if each in failed]
            if missing:
                failed.add(name)
                yield Hop(name=name, verdict="skipped", time_ms=0.0, said=f"needs {missing[0]}")
                continue
            hop = _try(name, look, patient)
            if hop.verdict == "failed":
                failed.add(name)
            yield hop


def _try(name: str, look: Callable[[Patient], str], patient: Patient) -> Hop:
    began = time.monotonic()
    verdict: Verdict = "ok"
    way_out = ""
    try:
        said = look(patient)
    except HopFailed as exc:
        verdict, said, way_out = ("warning" if exc.is_warning else "failed"), str(exc), exc.way_out
    except AuthorizationError as exc:
        verdict, said, way_out = "failed", str(exc), "make a key with all scopes: freeplay-like keys create --data DIR"
    except FreeplayError as exc:
        verdict, said = "failed", f"{type(exc).__name__}: {exc}"
    return Hop(
        name=name, verdict=verdict, time_ms=round((time.monotonic() - began) * 1000, 3), said=said, way_out=way_out
    )


# --- the hops ---------------------------------------------------------------------------------------------


def look_at_backend(patient: Patient) -> str:
    """The server answers, and can take records; its clock is ours."""
    import requests

    url = f"{patient.root}/healthz"
    try:
        with new_session(patient.api_base) as session:
            asked_at = datetime.now(UTC)
            answer = session.get(url, timeout=patient.timeout_s, allow_redirects=False)
            heard_at = datetime.now(UTC)
    except (requests.RequestException, OSError) as exc:
        raise HopFailed(
            f"{url} does not answer: {type(exc).__name__}",
            "start it (freeplay-like serve), or mend --api-base: it is the address that serve prints, with /api",
        ) from exc
    if answer.status_code != 200:
        said = answer.text[:300]
        raise HopFailed(f"{url} answered {answer.status_code}: {said}", "free some room on its disk, or see its log")
    try:
        skew_s = (
            parsedate_to_datetime(answer.headers["Date"]) - (asked_at + (heard_at - asked_at) / 2)
        ).total_seconds()
    except (KeyError, ValueError):
        return f"{url} takes records"
    if abs(skew_s) > SKEW_S:
        warn(f"its clock is {skew_s:+.0f} s from this machine's", "set both by a time server (NTP)")
    return f"{url} takes records"


def look_at_key(patient: Patient) -> str:
    """The key is good."""
    patient.project_id = project_of(patient.link())
    return f"project {patient.project_id}"


def look_at_figures(patient: Patient) -> str:
    """The disk has room, and what follows the records keeps up."""
    import requests

    try:
        with new_session(patient.api_base) as session:
            answer = session.get(
                f"{patient.root}/metrics", headers=headers_for(patient.api_key), timeout=patient.timeout_s
            )
    except (requests.RequestException, OSError) as exc:
        raise HopFailed(f"/metrics does not answer: {type(exc).__name__}", "see the server's log") from exc
    for line in answer.text.splitlines():
        if not line.startswith("#") and " " in line:
            name, _, value = line.rpartition(" ")
            patient.figures[name] = float(value)
    free, least = (patient.figures.get(f"freeplay_like_disk_{name}_bytes") for name in ("free", "min_free"))
    if free is None or least is None:
        warn(f"/metrics answered {answer.status_code} without figures of the disk", "bring the server up to date")
    lag_s = patient.figures.get('freeplay_like_lag_seconds{part="text"}', 0.0)
    if free < 2 * least:
        warn(f"{free:.0f} bytes are free on its disk; at {least:.0f} it stops taking", "free some room, or move it")
    if lag_s > LAG_S:
        warn(f"calls become searchable {lag_s:.0f} s late", "it catches up when fewer come; else give it another core")
    return f"{free / 1e9:.1f} GB free, lag {lag_s:.1f} s"


def look_at_spool(patient: Patient) -> str:
    """No record of a process that is gone waits on this machine."""
    pending = 0
    for path in spool_candidates(patient.spool_dir):
        for folder in spool_status(path).folders:
            pending += folder.pending
            if folder.pending and not folder.is_alive:
                warn(
                    f"{folder.pending} records of process {folder.pid}, which is gone, wait in {str(path)!r}",
                    "send them: freeplay-like spool flush",
                )
    return f"{pending} records wait"


def look_at_templates(patient: Patient) -> str:
    """Templates can be read."""
    answer = patient.link().get(f"{project_path(patient.project_id)}/prompt-templates/all/latest")
    found = answer.get("prompt_templates") if isinstance(answer, dict) else None
    return f"{len(found) if isinstance(found, list) else 0} templates in the environment latest"


def make_call(patient: Patient) -> str:
    """A template of our own, a flavor, a simulated provider, a stream; recorded in a journal of its own."""
    from freeplay_like.flavors.openai_chat import OpenAIChat
    from freeplay_like.local.simulator import Simulator
    from freeplay_like.prompts.folder import FolderPrompts
    from freeplay_like.recording.recorder import JournalRecorder
    from freeplay_like.session.client import Freeplay

    folder = Path(patient.stack.enter_context(tempfile.TemporaryDirectory(prefix="freeplay-like-doctor-")))
    (folder / "doctor.prompt").write_text(_TEMPLATE, encoding="utf-8")
    simulator = patient.stack.enter_context(Simulator())
    recorder = JournalRecorder(patient.api_base, patient.api_key, spool_dir=folder / "spool")
    client = patient.stack.enter_context(
        Freeplay(OpenAIChat("no key", simulator.openai_base), prompts=FolderPrompts(folder), recorder=recorder)
    )
    patient.flush = client.flush
    session = client.create_session(patient.project_id, metadata={"doctor": True})
    with session.get_completion_stream("doctor", {"mark": patient.mark}) as stream:
        chunks = sum(1 for _ in stream)
        patient.record_id = stream.record_id
    if not any((folder / "spool").rglob("*")):
        warn("the record was kept in memory: the journal could not be written", "see that the disk here has room")
    return f"{chunks} chunks from a simulated provider, record {patient.record_id}"


def look_at_intake(patient: Patient) -> str:
    """A batch is taken: an empty one, so that this is the way there and the key alone."""
    patient.link().post(f"{project_path(patient.project_id)}/records:batch", {"records": []})
    return "an empty batch was taken"


def deliver(patient: Patient) -> str:
    """The journal is delivered, and the record stored."""
    if patient.flush is None:
        raise HopFailed("nothing was recorded", "see the hop before")
    report = patient.flush(patient.timeout_s)
    if report.is_complete and report.sent:
        return f"{report.sent} record acknowledged"
    why = "; ".join(report.errors) or "it was not acknowledged in time"
    raise HopFailed(f"{report.pending} records pending, {report.dropped} dropped: {why}", "see the server's log")


def read_back(patient: Patient) -> str:
    """The record is there, as it was sent."""
    path = f"{project_path(patient.project_id)}/completions/{segment(patient.record_id, 'a record')}"
    record = patient.link().get(path)
    if not isinstance(record, dict) or record.get("outcome") != "complete" or patient.mark not in str(record):
        raise HopFailed(f"{path} answers with something else", "look for a proxy or a cache between here and there")
    return f"record {patient.record_id} is complete"


def find(patient: Patient) -> str:
    """The record is found by its text."""
    import requests

    url = f"{patient.api_base.rstrip('/')}{project_path(patient.project_id)}/export"
    deadline = time.monotonic() + patient.timeout_s
    with new_session(patient.api_base) as session:
        while True:
            try:
                answer = session.get(
                    url, params={"text": patient.mark}, headers=headers_for(patient.api_key), timeout=patient.timeout_s
                )
            except (requests.RequestException, OSError) as exc:
                raise HopFailed(f"{url} does not answer: {type(exc).__name__}", "see the server's log") from exc
            if answer.status_code == 200 and patient.record_id in answer.text:
                return "found by its text"
            if time.monotonic() > deadline:
                raise HopFailed(
                    f"not found within {patient.timeout_s:g} s (status {answer.status_code})",
                    "see freeplay_like_lag_seconds in /metrics: what follows the records is behind",
                )
            time.sleep(POLL_S)


def open_page(patient: Patient) -> str:
    """The call's page shows the record."""
    import requests

    address = f"{patient.root}/projects/{patient.project_id}/calls/{patient.record_id}"
    if patient.sign_in_url is None:
        return f"{address} (not opened: that needs --data, which can sign in)"
    try:
        with new_session(patient.api_base) as session:
            session.get(patient.sign_in_url, timeout=patient.timeout_s, allow_redirects=False)
            answer = session.get(address, timeout=patient.timeout_s, headers={"Accept": "text/html"})
    except (requests.RequestException, OSError) as exc:
        raise HopFailed(f"{address} does not answer: {type(exc).__name__}", "see the server's log") from exc
    if answer.status_code != 200 or patient.mark not in answer.text:
        raise HopFailed(f"{address} answered {answer.status_code}, without the call", "see the server's log")
    return address


def clean_up(patient: Patient) -> str:
    """The record is deleted again."""
    body: JsonObject = {"record_ids": [patient.record_id]}
    try:
        patient.link().post(f"{project_path(patient.project_id)}/deletions", body)
    except (AuthorizationError, BackendError) as exc:
        warn(f"record {patient.record_id} stays: {exc}", "it has doctor=true in its metadata; a key with admin deletes")
    return "the record is deleted"


HOPS: Final[tuple[tuple[str, tuple[str, ...], Callable[[Patient], str]], ...]] = (
    ("backend", (), look_at_backend),
    ("key", ("backend",), look_at_key),
    ("figures", ("key",), look_at_figures),
    ("spool", (), look_at_spool),
    ("templates", ("key",), look_at_templates),
    ("call", ("key",), make_call),
    ("intake", ("key",), look_at_intake),
    ("delivery", ("call",), deliver),
    ("store", ("delivery",), read_back),
    ("search", ("delivery",), find),
    ("page", ("delivery",), open_page),
    ("clean-up", ("delivery",), clean_up),
)
"""Each hop's name, the hops it needs, and what is done."""
