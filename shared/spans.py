"""Spans for OpenTelemetry, where its SDK is installed (the extra `otel`) and a collector is named.

A request, and each event that it told at each service that hears of it, are spans of one trace: the traceparent that
goes with the event is the span's own. Where nobody asks for spans, nothing of this is imported.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shared import trace
from shared.settings import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

#: The variable by which every SDK is told where to send.
COLLECTOR = "OTEL_EXPORTER_OTLP_ENDPOINT"


def set_up(service: str, role: str, environ: Mapping[str, str] = os.environ) -> None:
    """Send spans to the collector that the environment names, if it names one."""
    if not environ.get(COLLECTOR):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise SettingsError(f"{COLLECTOR} is set, but nothing can send there: install heartwood[otel]") from None
    provider = TracerProvider(resource=Resource.create({"service.name": f"heartwood-{service}-{role}"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    record(provider)


def record(provider: "TracerProvider") -> None:
    """Make a span of every piece of work from now on."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    tracer, propagator = provider.get_tracer("heartwood"), TraceContextTextMapPropagator()

    def begin(name: str, parent: str) -> tuple[str, Any]:
        context = propagator.extract({"traceparent": parent}, Context()) if parent else Context()
        span = tracer.start_span(name, context)
        at = span.get_span_context()
        return f"00-{at.trace_id:032x}-{at.span_id:016x}-{int(at.trace_flags):02x}", span

    trace.recorder = begin
