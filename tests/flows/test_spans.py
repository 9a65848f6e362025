"""One trace from the request that began it to whoever hears of it, by HTTP and by Kafka, for OpenTelemetry."""

import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared import spans, trace
from shared.events.sink import CarbonAssetValued
from shared.settings import SettingsError
from tests.harness import Town, body, door
from tests.sink.examples import asset_request

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    made, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(made))
    spans.record(provider)
    yield made
    trace.recorder = None
    provider.shutdown()


def test_a_request_and_all_who_hear_of_it_are_one_trace(town: Town, exporter: InMemorySpanExporter) -> None:
    bureau = town.client("sink", "bureau", "bureau-shuozhou")
    asset = body(bureau.post("/v1/assets", asset_request()), 201)
    path = f"/v1/assets/{asset['id']}/valuations"
    body(bureau.post(path, traceparent=f"00-{TRACE}-{CALLER}-01"), 201)
    town.pump()
    found = exporter.get_finished_spans()
    (request,) = (span for span in found if span.name == "POST /v1/assets/<uuid:asset_id>/valuations")
    assert request.parent is not None
    assert (f"{request.context.trace_id:032x}", f"{request.parent.span_id:016x}") == (TRACE, CALLER)
    assert request.attributes == {"http.response.status_code": 201}
    heard = [span for span in found if span.name == "heartwood.sink.CarbonAssetValued.v1"]
    listening = [reader for reader in town.databases if CarbonAssetValued in door(reader).consumer.handlers]
    assert len(heard) >= len(listening) >= 2
    for span in heard:
        assert span.parent is not None
        assert (span.context.trace_id, span.parent.span_id) == (request.context.trace_id, request.context.span_id)
    # Whoever brings no trace begins one.
    body(bureau.get(f"/v1/assets/{asset['id']}"))
    alone = exporter.get_finished_spans()[-1]
    assert alone.parent is None
    assert alone.context.trace_id != request.context.trace_id


def test_without_a_collector_nothing_is_recorded_and_without_the_extra_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spans.set_up("credit", "serve", {})
    assert trace.recorder is None
    with trace.tracing():
        trace.describe("nobody hears this")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"install heartwood\[otel\]"):
        spans.set_up("credit", "serve", {spans.COLLECTOR: "http://127.0.0.1:4318"})
