"""A web handler that streams a chat to the browser, async: Starlette behind uvicorn.

    pip install "freeplay-like[server]"
    export OPENAI_API_KEY=... FREEPLAY_LIKE_API_KEY=... FREEPLAY_LIKE_PROJECT=...
    uvicorn examples.starlette_app:app

The provider has accepted the request before the response begins, so a refused one gets a proper status. When the
browser goes away in mid-stream, the provider's connection is closed and the record says `cancelled`, with the text so
far.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from freeplay_like import AsyncFreeplay, FreeplayError, OpenAIChat

PROJECT = os.environ["FREEPLAY_LIKE_PROJECT"]

PAGE = """<!doctype html><meta charset="utf-8"><title>Chat</title>
<form><input name="question" value="What is a tide?" size="50"><button>Ask</button></form>
<p id="answer" style="white-space: pre-wrap"></p>
<script>
  document.querySelector("form").onsubmit = (event) => {
    event.preventDefault();
    const answer = document.querySelector("#answer");
    answer.textContent = "";
    const question = new FormData(event.target).get("question");
    const source = new EventSource("/chat?question=" + encodeURIComponent(question));
    source.onmessage = (message) => { answer.textContent += message.data; };
    source.addEventListener("done", () => source.close());
    source.onerror = () => source.close();
  };
</script>"""


async def page(request: Request) -> Response:
    return HTMLResponse(PAGE)


async def chat(request: Request) -> Response:
    variables = {"name": "Ann", "question": request.query_params.get("question", "")}
    try:
        _, _, stream = await request.app.state.fp.start_chat_stream(PROJECT, "assistant", variables)
    except FreeplayError as error:
        return JSONResponse({"message": str(error)}, status_code=502)
    return StreamingResponse(stream.sse(), media_type="text/event-stream", headers={"x-record-id": stream.record_id})


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    flavor = OpenAIChat(openai_api_base=os.environ.get("OPENAI_BASE_URL"))
    async with AsyncFreeplay(flavor) as app.state.fp:
        await app.state.fp.warm()
        yield


app = Starlette(routes=[Route("/", page), Route("/chat", chat)], lifespan=lifespan)
