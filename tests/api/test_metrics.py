"""The metrics that an API process gives to Prometheus."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from shared.version import VERSION
from tests.api.conftest import Api, MakeApi


async def samples(api: Api) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    response = await api.client.get("/metrics")
    assert response.status == 200
    assert response.content_type == "text/plain"
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(await response.text())
        for sample in family.samples
    }


async def test_requests_are_counted_by_route_not_by_path(api: Api) -> None:
    someone = await api.register()
    for user_id in (someone.id, 98, 99):
        await api.client.get(f"/api/users/{user_id}", headers=someone.headers)
    for path in ("/nothing", "/nothing/else"):
        await api.client.get(path)
    await api.client.request("PROPFIND", "/api/me")
    seen = await samples(api)

    def count(method: str, route: str, status: int) -> float | None:
        labels = {"method": method, "route": route, "status": str(status)}
        return seen.get(("http_requests_total", frozenset(labels.items())))

    assert count("GET", "/api/users/{id}", 200) == 1
    assert count("GET", "/api/users/{id}", 404) == 2
    assert count("GET", "unmatched", 404) == 2
    assert count("other", "unmatched", 405) == 1
    assert not [labels for _, labels in seen if "98" in dict(labels).get("route", "")]
    labels = {("method", "GET"), ("route", "/api/users/{id}")}
    assert seen["http_request_duration_seconds_count", frozenset(labels)] == 3
    assert seen["http_request_duration_seconds_bucket", frozenset({*labels, ("le", "+Inf")})] == 3
    assert 0 < seen["http_request_duration_seconds_sum", frozenset(labels)] < 60
    buckets = [
        (float(dict(given)["le"]), value)
        for (name, given), value in seen.items()
        if name == "http_request_duration_seconds_bucket" and labels <= given
    ]
    assert [value for _, value in sorted(buckets)] == sorted(value for _, value in buckets)


async def test_metrics_show_the_state_of_postgres_redis_and_the_process(
    make_api: MakeApi,
) -> None:
    api = await make_api()
    await api.register()
    seen = await samples(api)
    assert seen["daveslist_postgres_connections", frozenset()] >= 1
    assert seen["daveslist_postgres_waiting", frozenset()] == 0
    assert seen["daveslist_memory_up", frozenset()] == 1
    assert seen["daveslist_unwritten_messages", frozenset()] == 0
    assert seen["daveslist_unpublished_messages", frozenset()] == 0
    [labels] = [dict(labels) for name, labels in seen if name == "daveslist_process_info"]
    assert labels["process"] == "api"
    assert labels["version"] == VERSION
    assert labels["node"].startswith("api-")
    assert seen["process_resident_memory_bytes", frozenset()] > 0


async def test_messages_by_rest_are_counted_when_they_are_stored(make_api: MakeApi) -> None:
    api = await make_api()
    ann, bob = await api.register(), await api.register()
    body = {"to": str(bob.id), "message": "Hi", "client_ref": "a"}
    for _ in range(2):
        await api.call("POST", "/api/messages", 201, who=ann, json=body)
    assert (await samples(api))["daveslist_stored_messages_total", frozenset()] == 1
