"""Calls over the simulated provider by a flavor alone, sync and async, whichever flavor it is."""

from __future__ import annotations

from freeplay_like.core.limits import DEFAULT_TIMEOUT, Timeout
from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import merge
from freeplay_like.errors import ProviderError
from freeplay_like.flavors.base import AsyncConnection, Connection, Flavor, Request
from support.wire import FLAVORS, Answer, read

KINDS = list(FLAVORS)
"""Every flavor there is. All but Azure's are asked under an address that is nobody's, as a compatible server is."""

WITH_TOOLS = [kind for kind in KINDS if kind not in ("openai_text", "anthropic_text")]

MESSAGES = (Message(role="system", content="Be brief."), Message(role="user", content="Hello"))


def formatted(flavor: Flavor, script: str = "", *, is_stream: bool = True, **parameters: object) -> Request:
    """A call that has the simulator play a script."""
    layers = [("flavor", flavor.default_parameters), ("call", {"model": f"sim:{script}", **parameters})]
    return flavor.format(MESSAGES, merge(layers), is_stream=is_stream)


def call(flavor: Flavor, script: str = "", limits: Timeout = DEFAULT_TIMEOUT, **options: object) -> Answer:
    """What a call comes to, once it is open."""
    request = formatted(flavor, script, **options)
    return drained(flavor, request, flavor.open(request, limits))


async def acall(flavor: Flavor, script: str = "", limits: Timeout = DEFAULT_TIMEOUT, **options: object) -> Answer:
    """The async twin of `call`."""
    request = formatted(flavor, script, **options)
    return await adrained(flavor, request, await flavor.aopen(request, limits))


def drained(flavor: Flavor, request: Request, connection: Connection) -> Answer:
    """What an open connection comes to."""
    return read(flavor.reader(request), connection)


async def adrained(flavor: Flavor, request: Request, connection: AsyncConnection) -> Answer:
    """The async twin of `drained`."""
    pieces: list[bytes] = []
    try:
        async for data in connection:
            pieces.append(data)
    except ProviderError as exc:
        return Answer(read(flavor.reader(request), pieces).response, exc)
    return read(flavor.reader(request), pieces)
