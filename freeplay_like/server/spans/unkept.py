"""How many metrics and log records a body has: they are not kept, and their sender is told how many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from freeplay_like.core.wire import JsonObject, JsonValue, WireError, from_wire

_POINTS: Final = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")


def count_json(data: bytes) -> int:
    """How many data points and log records the JSON form has.

    Raises:
        WireError: it is not JSON.
    """
    body = _object(from_wire(data, object))
    logs = sum(1 for scope in _nested(body, "resourceLogs", "scopeLogs") for _ in _objects(scope, "logRecords"))
    metrics = _nested(body, "resourceMetrics", "scopeMetrics", "metrics")
    points = sum(1 for metric in metrics for kind in _POINTS for _ in _objects(_object(metric.get(kind)), "dataPoints"))
    return logs + points


def count_protobuf_metrics(data: bytes) -> int:
    """How many data points the protobuf form of metrics has.

    Raises:
        ImportError: `opentelemetry-proto` is not installed.
        WireError: the body is none.
    """
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    try:
        request = ExportMetricsServiceRequest.FromString(data)
    except DecodeError as exc:
        raise WireError(str(exc)) from exc
    metrics = (metric for one in request.resource_metrics for scope in one.scope_metrics for metric in scope.metrics)
    kinds = ((metric, metric.WhichOneof("data")) for metric in metrics)
    return sum(len(getattr(metric, kind).data_points) for metric, kind in kinds if kind is not None)


def count_protobuf_logs(data: bytes) -> int:
    """How many log records the protobuf form of logs has; raises like `count_protobuf_metrics`."""
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    try:
        request = ExportLogsServiceRequest.FromString(data)
    except DecodeError as exc:
        raise WireError(str(exc)) from exc
    return sum(len(scope.log_records) for one in request.resource_logs for scope in one.scope_logs)


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _objects(of: JsonObject, name: str) -> Iterator[JsonObject]:
    items = of.get(name)
    return map(_object, items if isinstance(items, list) else ())


def _nested(of: JsonObject, name: str, *names: str) -> Iterator[JsonObject]:
    for item in _objects(of, name):
        if names:
            yield from _nested(item, *names)
        else:
            yield item
