"""Spans as the protocol writes them: OTLP, a protobuf message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rtpipe_otel.spans import Span, Value

_MOST = 2**63 - 1


def request(spans: Iterable[Span], resource: Mapping[str, Value], version: str) -> bytes:
    """Return what is posted to deliver `spans`.

    Args:
        spans: The spans.
        resource: Who sends them.
        version: Of rtpipe.
    """
    scope = trace_pb2.ScopeSpans(
        scope=InstrumentationScope(name="rtpipe_otel", version=version),
        spans=[_span(each) for each in spans],
    )
    whole = trace_pb2.ResourceSpans(
        resource=Resource(attributes=_pairs(resource)), scope_spans=[scope]
    )
    written: bytes = ExportTraceServiceRequest(resource_spans=[whole]).SerializeToString()
    return written


def refused(answer: bytes) -> tuple[int, str]:
    """Return how many spans of a request the receiver did not take although it says 200, and why.

    Raises:
        ValueError: It is no such answer.
    """
    from google.protobuf.message import DecodeError

    try:
        partial = ExportTraceServiceResponse.FromString(answer).partial_success
    except DecodeError as error:
        raise ValueError("the answer is not OTLP") from error
    return partial.rejected_spans, partial.error_message


def _span(span: Span) -> trace_pb2.Span:
    status = trace_pb2.Status()
    if span.error:
        status = trace_pb2.Status(code=trace_pb2.Status.STATUS_CODE_ERROR)
    kind = trace_pb2.Span.SPAN_KIND_CLIENT if span.client else trace_pb2.Span.SPAN_KIND_INTERNAL
    error: dict[str, Value] = {"error.type": span.error} if span.error else {}
    return trace_pb2.Span(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_id,
        name=span.name,
        kind=kind,
        start_time_unix_nano=_unix_ns(span, span.start),
        end_time_unix_nano=_unix_ns(span, span.end),
        attributes=_pairs({**span.attributes, **error}),
        events=[
            trace_pb2.Span.Event(
                name=each.name,
                time_unix_nano=_unix_ns(span, each.at),
                attributes=_pairs(each.attributes),
            )
            for each in span.moments
        ],
        status=status,
    )


def _unix_ns(span: Span, at: float) -> int:
    return max(0, round((span.epoch_s + at) * 1e6)) * 1000  # a float holds microseconds, no more


def _pairs(attributes: Mapping[str, Value]) -> list[KeyValue]:
    return [KeyValue(key=name, value=_value(value)) for name, value in attributes.items()]


def _value(value: Value) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=max(-_MOST, min(value, _MOST)))
        case float():
            return AnyValue(double_value=value)
        case tuple():
            texts = [_value(each) for each in value]
            return AnyValue(array_value=ArrayValue(values=texts))
        case _:
            return AnyValue(string_value=value.encode("utf-8", "replace").decode())
