"""Folders of the spool whose process is dead: taken over one lock at a time, delivered, and deleted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from freeplay_like.recording.folders import Folder, destination_of, list_folders
from freeplay_like.recording.reading import FolderSource
from freeplay_like.recording.troubles import logger

AT_ONCE: Final = 8
AVOID_S: Final = 600.0


class Orphanage:
    """The folders that this process has adopted. Only those meant for the same backend are."""

    def __init__(self, api_base: str, spools: tuple[Path, ...], source_of: Callable[[Folder], FolderSource]) -> None:
        self.sources: list[FolderSource] = []
        self._destination = destination_of(api_base)
        self._spools = spools
        self._source_of = source_of
        self._avoided_until_s: dict[Path, float] = {}

    def look(self, now_s: float) -> None:
        """Adopt what dead processes have left, a few at once."""
        for spool in self._spools:
            for path in list_folders(spool, self._destination):
                if len(self.sources) >= AT_ONCE:
                    return
                if self._avoided_until_s.get(path, now_s) <= now_s and (folder := Folder.adopt(path)) is not None:
                    self.sources.append(self._source_of(folder))

    def remove_finished(self, now_s: float) -> bool:
        """Delete the folders in which nothing is left, and give back those that another process may be able to
        deliver (with another key). To be called when every source is drained. True where there is room again."""
        before = len(self.sources)
        for source in list(self.sources):
            if source.is_finished:
                logger.info(
                    "delivered %d records and amendments that a process had left in %s",
                    source.counts.sent,
                    source.folder.path,
                )
                source.folder.remove()
                self.sources.remove(source)
            elif source.is_stuck:
                self._avoided_until_s[source.folder.path] = now_s + AVOID_S
                source.folder.release()
                self.sources.remove(source)
        return before >= AT_ONCE and len(self.sources) < before

    def let_go(self) -> None:
        """Give back what is not finished."""
        for source in self.sources:
            source.folder.release()
        self.sources.clear()
