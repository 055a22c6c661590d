"""A network that can be cut: a TCP proxy on loopback, between a server and what it talks to."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Final

_CHUNK: Final = 65_536


class Proxy:
    """Passes what comes to its port on to another port, until it is told otherwise."""

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self._flows = threading.Event()
        self._flows.set()
        self._is_cut = False
        self._trap: _Trap | None = None
        self._hang_at: tuple[bytes, threading.Event] | None = None
        self._thread = threading.Thread(target=self._accept, name=f"proxy {self.port}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.cut()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts
        self._listener.close()
        self._thread.join()

    def cut(self) -> None:
        """Drop every connection, and each new one at once."""
        with self._lock:
            self._is_cut = True
            links = set(self._links)
        for link in links:
            link.close()
        self._flows.set()  # only now: what was held back is lost
        for link in links:
            link.join()

    def hang(self) -> None:
        """A black hole: connections stay, new ones open, and not a byte passes."""
        self._flows.clear()

    def hang_at(self, marker: bytes) -> threading.Event:
        """Hang from the next request on that holds `marker` in one piece, which does not pass; the event tells when."""
        hangs = threading.Event()
        self._hang_at = marker, hangs
        return hangs

    def restore(self) -> None:
        """Pass everything again, first of all what was held back."""
        self._is_cut = False
        self._flows.set()

    def lose_answer_to(self, marker: bytes, *, after: bytes = b"") -> threading.Event:
        """Pass the next request that holds `marker` in one piece, and cut its connection in place of an answer to it.

        Once, on a connection on which `after` went before; the event tells when. `COMMIT` on the way to PostgreSQL:
        the work is done, and nobody was told.
        """
        self._trap = _Trap(marker, after)
        return self._trap.is_sprung

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # closed
            with self._lock:
                if self._is_cut:
                    near.close()
                    continue
                try:
                    far = socket.create_connection(self._target)
                except OSError:  # nobody is there: the same to who called
                    near.close()
                    continue
                link = _Link(self, near, far)
                self._links.add(link)
                link.start()

    def take_trap(self, link: _Link, request: bytes) -> _Trap | None:
        """The trap that this request springs; no other can spring it then."""
        with self._lock:
            trap = self._trap
            if trap is None:
                return None
            if trap.after in request:
                trap.links.add(link)
            if link not in trap.links or trap.marker not in request:
                return None
            self._trap = None
            return trap

    def wait_for_flow(self, chunk: bytes) -> None:
        """Return when these bytes may pass."""
        with self._lock:
            if self._hang_at is not None and self._hang_at[0] in chunk:
                self._flows.clear()
                self._hang_at[1].set()
                self._hang_at = None
        self._flows.wait()

    def forget(self, link: _Link) -> None:
        """It is over."""
        with self._lock:
            self._links.discard(link)


class _Trap:
    """What to lose the answer to, and the connections on which it may be."""

    def __init__(self, marker: bytes, after: bytes) -> None:
        self.marker = marker
        self.after = after
        self.links: set[_Link] = set()
        self.is_sprung = threading.Event()


class _Link:
    """One connection through the proxy: a thread a direction."""

    def __init__(self, proxy: Proxy, near: socket.socket, far: socket.socket) -> None:
        self._proxy, self._near, self._far = proxy, near, far
        self._trap: _Trap | None = None
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._requests, self._answers)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def close(self) -> None:
        """End both sides; wakes both threads."""
        for each in (self._near, self._far):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _requests(self) -> None:
        while chunk := self._received(self._near):
            if self._trap is None:
                self._trap = self._proxy.take_trap(self, chunk)  # before it passes: its answer must not be quicker
            if not self._passed(self._far, chunk):
                break
        self.close()

    def _answers(self) -> None:
        while chunk := self._received(self._far):
            if self._trap is not None:
                self._trap.is_sprung.set()  # before anybody can notice
                self.close()
                break
            if not self._passed(self._near, chunk):
                break
        self.close()
        self._threads[0].join()
        self._near.close()
        self._far.close()
        self._proxy.forget(self)

    def _received(self, source: socket.socket) -> bytes:
        try:
            chunk = source.recv(_CHUNK)
        except OSError:
            return b""
        self._proxy.wait_for_flow(chunk)
        return chunk

    def _passed(self, target: socket.socket, chunk: bytes) -> bool:
        try:
            target.sendall(chunk)
        except OSError:
            return False
        return True
