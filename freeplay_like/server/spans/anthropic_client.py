"""What the anthropic client says on its own spans (scope `com.anthropic.sdk.python`, 2.11) beside the common words."""

from __future__ import annotations

from freeplay_like.server.spans.attributes import Attributes
from freeplay_like.server.spans.facts import Facts
from freeplay_like.server.spans.span import Span


def read(span: Span) -> Facts | None:
    """What the span says in these words; None where it does not speak them."""
    said = Attributes(span.attributes)
    request_id = said.label("anthropic.request.id")
    reason = said.text("anthropic.message.stop_reason")
    status = said.count("http.response.status_code")
    if request_id is None and reason is None and status is None:
        return None
    return Facts(request_id=request_id, finish_reasons=() if reason is None else (reason,), status=status)
