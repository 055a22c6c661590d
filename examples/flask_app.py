"""A web handler that streams a chat to the browser, sync: Flask behind gunicorn's prefork workers.

    pip install freeplay-like flask gunicorn
    export OPENAI_API_KEY=... FREEPLAY_LIKE_API_KEY=... FREEPLAY_LIKE_PROJECT=...
    gunicorn --preload --workers 2 examples.flask_app:app

The client is made before the workers are forked; each worker has its own connections, journal and delivery. When the
browser goes away in mid-stream, the provider's connection is closed and the record says `cancelled`, with the text so
far.
"""

from __future__ import annotations

import os

from flask import Flask, Response, request

from freeplay_like import Freeplay, FreeplayError, OpenAIChat

PROJECT = os.environ["FREEPLAY_LIKE_PROJECT"]

fp = Freeplay(OpenAIChat(openai_api_base=os.environ.get("OPENAI_BASE_URL")))
app = Flask(__name__)


@app.get("/chat")
def chat() -> Response | tuple[dict[str, str], int]:
    variables = {"name": "Ann", "question": request.args.get("question", "")}
    try:
        _, _, stream = fp.start_chat_stream(PROJECT, "assistant", variables)
    except FreeplayError as error:
        return {"message": str(error)}, 502
    return Response(stream.sse(), mimetype="text/event-stream", headers={"x-record-id": stream.record_id})
