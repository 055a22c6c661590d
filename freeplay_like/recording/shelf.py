"""What cannot be delivered, set aside in the spool where a person can look at it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from freeplay_like.core.wire import to_wire
from freeplay_like.recording.folders import make_private_dir, open_private
from freeplay_like.recording.sources import Pending
from freeplay_like.recording.troubles import Troubles

REJECTED, DAMAGED = "rejected", "damaged"
REJECTED_LIMIT: Final = 1000
DAMAGED_LIMIT_BYTES: Final = 16 * 1024 * 1024

_SAFE_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")


class Shelf:
    """Two folders of the spool: `rejected`, a JSON file for each item, and `damaged`, a file for each bad segment.

    Both are bounded. `spool` says where the spool is, None where there is none.
    """

    def __init__(self, spool: Callable[[], Path | None], troubles: Troubles) -> None:
        self._spool = spool
        self._troubles = troubles

    def reject(self, pending: Pending, message: str) -> None:
        """Keep a record or an amendment that the backend will never take."""
        kind, item_id = pending.head.lane.kind, pending.head.amendment_id or pending.head.record_id
        self._troubles.note("rejected", f"the backend does not take {kind} {item_id!r}: {message}")
        name = item_id if _SAFE_NAME.fullmatch(item_id) else hashlib.sha256(item_id.encode()).hexdigest()
        body = b'{"message":%b,"%b":%b}\n' % (to_wire(message), kind.encode(), pending.data)
        self._keep(REJECTED, f"{name}.json", body, os.O_TRUNC)

    def damage(self, name: str, raw: bytes) -> None:
        """Keep a line that could not be read."""
        self._troubles.note(f"damaged {name}", f"a damaged line of the spool was passed over ({name})")
        self._keep(DAMAGED, f"{name}.bad", raw + b"\n", os.O_APPEND)

    def _keep(self, kind: str, name: str, data: bytes, flags: int) -> None:
        spool = self._spool()
        if spool is None:
            return
        try:
            folder = spool / kind
            make_private_dir(folder)
            if kind == REJECTED:
                self._make_room(folder)
            fd = open_private(folder / name, os.O_WRONLY | os.O_CREAT | flags)
            try:
                if os.fstat(fd).st_size + len(data) <= DAMAGED_LIMIT_BYTES or kind == REJECTED:
                    os.write(fd, data)
            finally:
                os.close(fd)
        except OSError as exc:
            self._troubles.note(f"shelf {kind}", f"what was {kind} cannot be kept in {spool}: {exc}")

    def _make_room(self, folder: Path) -> None:
        names = os.listdir(folder)
        if len(names) < REJECTED_LIMIT:
            return
        with contextlib.suppress(FileNotFoundError):  # another process makes room too
            min((folder / name for name in names), key=lambda path: path.stat().st_mtime).unlink()
        self._troubles.note(
            "shelf full", f"{folder} holds {REJECTED_LIMIT} records; the oldest makes room for the newest"
        )
