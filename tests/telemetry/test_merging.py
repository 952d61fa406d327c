"""One answer out of several."""

from lateen.telemetry import exposition, merging

PROXY = """# TYPE envoy_istio_requests_total counter
envoy_istio_requests_total{reporter="envoy_istio_source"} 2
# TYPE envoy_server_live gauge
envoy_server_live 1
"""


def test_the_mesh_s_metrics_lose_envoy_s_name_and_nothing_else_does() -> None:
    text = merging.proxy_text(PROXY)
    assert 'istio_requests_total{reporter="envoy_istio_source"} 2' in text.splitlines()
    assert "# TYPE istio_requests_total counter" in text.splitlines()
    assert "envoy_server_live 1" in text.splitlines()


def test_an_application_s_metrics_come_behind_its_proxy_s() -> None:
    merged = merging.merge(PROXY, "# TYPE books gauge\nbooks 7\n")
    assert [family.name for family in merged.families] == ["istio_requests_total", "envoy_server_live", "books"]
    assert merged.left_out == 0


def test_what_an_application_may_not_say_is_left_out_and_counted() -> None:
    merged = merging.merge(PROXY, 'istio_requests_total{reporter="me"} 1e9\nrubbish\ntwice{a="1",a="2"} 1\nbooks 7\n')
    assert [family.name for family in merged.families] == ["istio_requests_total", "envoy_server_live", "books"]
    assert merged.families[0].lines == ['istio_requests_total{reporter="envoy_istio_source"} 2']
    assert merged.left_out == 3


def test_workloads_together_have_each_family_once() -> None:
    one, other = merging.merge(PROXY, None).families, merging.merge(PROXY, "books 7\n").families
    whole = merging.together([({"pod": "a"}, one), ({"pod": "b"}, other)])
    assert [family.name for family in whole] == ["istio_requests_total", "envoy_server_live", "books"]
    assert whole[1].lines == ['envoy_server_live{pod="a"} 1', 'envoy_server_live{pod="b"} 1']
    assert exposition.read(exposition.write(whole)).unreadable == 0
