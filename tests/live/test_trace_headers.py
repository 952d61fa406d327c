"""In which headers an application gets the trace that its request is of."""

from tests.live.mesh import Caller, Mesh, until

TRACING = """
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: traces, namespace: istio-system}}
spec: {{tracing: [{rule}]}}
"""
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ASKED = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}


def seen(caller: Caller, **headers: str) -> dict[str, str]:
    """The headers that httpbin gets."""
    answer = caller.get("http://httpbin:8000/headers", headers=headers)
    return {name.lower(): value for name, value in answer.json["headers"].items()}


def test_an_application_gets_the_trace_in_both_kinds_of_headers(sleep: Caller) -> None:
    found = seen(sleep, **ASKED)
    version, trace_id, span_id, flags = found["traceparent"].split("-")
    assert (version, trace_id, flags) == ("00", TRACE, "01")
    assert span_id != PARENT
    assert (found["x-b3-traceid"], found["x-b3-spanid"], found["x-b3-sampled"]) == (TRACE, span_id, "1")
    assert found["tracestate"] == "vendor=1"


def test_a_trace_is_not_passed_on_where_that_is_not_wanted(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(TRACING.format(rule="{disableContextPropagation: true, randomSamplingPercentage: 100}")):
        # a kept connection may give an answer by the settings before
        until(lambda: not {"traceparent", "x-b3-traceid"} & seen(sleep).keys(), what="headers without a trace")


def test_without_spans_headers_stay_as_the_caller_sent_them(httpbin: Mesh, sleep: Caller) -> None:
    with httpbin.having(TRACING.format(rule="{disableSpanReporting: true}")):
        until(lambda: seen(sleep, **ASKED).items() >= ASKED.items(), what="headers as they were sent")
