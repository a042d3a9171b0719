"""Traces are off unless the usual variables say so, and each span has the parent that it belongs to."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import msgspec
import pytest

import shared.tracing
from shared.access.addresses import Networks
from shared.domain.messages import Message, MessageRefused, NewMessage
from shared.events.envelope import Envelope, pack, unpack
from shared.events.topics import kind_of, listing, private_chat
from shared.settings import InvalidSettings, Settings
from shared.tracing import traceparent_of
from shared.tracing.variables import service_name, tidy
from shared.tracing.writer import TracedMessageWriter
from tests.support.processes import base_environment
from tests.support.traced import Traced, ids, traced

__all__ = ["traced"]

CHECKOUT = Path(__file__).parents[2]
PROXIES = ip_network("10.0.0.0/8")
PARENT = f"00-{'a' * 32}-{'b' * 16}-01"
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
TRACED = Settings(otel_exporter_otlp_endpoint="http://127.0.0.1:4318")


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "cars"}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "true"}, False),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "false"}, True),
    ],
)
def test_the_usual_variables_decide_whether_there_are_traces(variables: dict[str, str], wanted: bool) -> None:
    settings = Settings.from_environment(variables)
    assert shared.tracing.is_wanted(settings) is wanted
    shared.tracing.check(settings, variables)


KEY = "4711-key"
OTLP = "OTEL_EXPORTER_OTLP"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_SDK_DISABLED", "yes"),
        *((f"{OTLP}{traces}_PROTOCOL", value) for traces in ("", "_TRACES") for value in ("grpc", "http/json")),
        *(
            (f"{OTLP}{traces}_ENDPOINT", value)
            for traces in ("", "_TRACES")
            for value in (
                f"localhost:4318/{KEY}",
                f"grpc://host/{KEY}",
                f"http:///{KEY}",
                f"http://[::1/{KEY}",
                "http://a:x/",
            )
        ),
        *(
            (f"{OTLP}{traces}_HEADERS", value)
            for traces in ("", "_TRACES")
            for value in (
                f"api-key: {KEY}",
                KEY,
                f"a=b,api-key:{KEY}",
                f"={KEY}",
                f'a="{KEY}"',
                f"a={KEY};b",
                f"a={KEY}%0A",
            )
        ),
        *((f"{OTLP}_TIMEOUT", value) for value in ("0", "-1", "10s", "nan", "inf")),
        (f"{OTLP}_COMPRESSION", "zstd"),
        *((f"{OTLP}_{name}", "/nowhere") for name in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")),
        *(
            (f"OTEL_BSP_{name}", value)
            for name in ("SCHEDULE_DELAY", "EXPORT_TIMEOUT", "MAX_QUEUE_SIZE", "MAX_EXPORT_BATCH_SIZE")
            for value in ("0", "-1", "abc", "1.5", "\u0665", "9" * 30)
        ),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096"),
        *(
            (f"OTEL_{name}_LIMIT", value)
            for name in ("ATTRIBUTE_COUNT", "SPAN_ATTRIBUTE_COUNT", "SPAN_EVENT_COUNT", "ATTRIBUTE_VALUE_LENGTH")
            for value in ("abc", "-1", "1_0")
        ),
        ("OTEL_TRACES_SAMPLER", "abc"),
        ("OTEL_RESOURCE_ATTRIBUTES", f"service.name:{KEY}"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=b,=c"),
    ],
)
def test_a_variable_that_opentelemetry_would_ignore_or_fail_at_is_refused_by_its_name(name: str, value: str) -> None:
    variables = {**ENDPOINT, name: value}
    with pytest.raises(InvalidSettings, match=rf"\A{name}: [^\n]+\Z") as refused:
        shared.tracing.check(Settings.from_environment(variables), variables)
    assert KEY not in str(refused.value)


@pytest.mark.parametrize("sampler", ["traceidratio", "parentbased_traceidratio", "TraceIdRatio"])
@pytest.mark.parametrize("ratio", ["", "1%", "7", "-0.1", "nan", "abc"])
def test_a_ratio_that_is_none_is_refused(sampler: str, ratio: str) -> None:
    variables = {**ENDPOINT, "OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": ratio}
    with pytest.raises(InvalidSettings, match=r"\AOTEL_TRACES_SAMPLER_ARG: [^\n]+\Z"):
        shared.tracing.check(TRACED, variables)


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"OTEL_TRACES_SAMPLER_ARG": "0.01"}, "OTEL_TRACES_SAMPLER"),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "100"}, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"),
        ({f"{OTLP}_PROTOCOL": "http/protobuf", f"{OTLP}_TRACES_PROTOCOL": "grpc"}, f"{OTLP}_TRACES_PROTOCOL"),
    ],
)
def test_variables_that_do_not_go_together_are_refused(variables: dict[str, str], name: str) -> None:
    with pytest.raises(InvalidSettings, match=rf"\A{name}: "):
        shared.tracing.check(TRACED, variables)


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"},
        {"OTEL_TRACES_SAMPLER": " Always_On "},
        {f"{OTLP}_PROTOCOL": "grpc", f"{OTLP}_TRACES_PROTOCOL": "http/protobuf"},
        {f"{OTLP}_HEADERS": f"api-key={KEY},x-team=a%2Cb, Authorization=Basic YTpi==,"},
        {f"{OTLP}_HEADERS": "nonsense", f"{OTLP}_TRACES_HEADERS": f"api-key={KEY}"},
        {f"{OTLP}_ENDPOINT": f"https://me:{KEY}@[::1]:4318/{KEY}?a=b"},
        {f"{OTLP}_TIMEOUT": "2.5", f"{OTLP}_COMPRESSION": "GZip", f"{OTLP}_CERTIFICATE": __file__},
        {"OTEL_BSP_MAX_QUEUE_SIZE": "100", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "100"},
        {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "0", "OTEL_SPAN_LINK_COUNT_LIMIT": " 5 "},
        dict.fromkeys(("OTEL_TRACES_SAMPLER", "OTEL_BSP_SCHEDULE_DELAY", f"{OTLP}_HEADERS", "OTEL_SDK_DISABLED"), " "),
    ],
)
def test_good_variables_are_taken(variables: dict[str, str]) -> None:
    shared.tracing.check(TRACED, variables)


def test_empty_variables_and_blanks_are_kept_from_the_packages() -> None:
    environ = {"OTEL_TRACES_SAMPLER": "", "OTEL_BSP_SCHEDULE_DELAY": "  ", "OTEL_SERVICE_NAME": " cars ", "HOME": " "}
    tidy(environ)
    assert environ == {"OTEL_SERVICE_NAME": "cars", "HOME": " "}


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ("", ""),
        ("service.name=cars", "cars"),
        ("a=b, service.name = used%20cars ,c=d", "used cars"),
        ("service.names=x", ""),
    ],
)
def test_the_attributes_name_the_service(attributes: str, name: str) -> None:
    assert service_name({"OTEL_RESOURCE_ATTRIBUTES": attributes}) == name


def test_missing_packages_are_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared.tracing, "find_spec", lambda name: None)
    with pytest.raises(InvalidSettings, match=r"pip install .*requirements/tracing\.lock"):
        shared.tracing.check(Settings.from_environment(ENDPOINT), ENDPOINT)
    shared.tracing.check(Settings(), {})


@pytest.mark.servers
def test_without_traces_no_process_loads_their_packages() -> None:
    # redis-py loads some of OpenTelemetry where it is installed.
    names = "{'shared.tracing.spans', 'opentelemetry.exporter'}"
    script = f"import sys, api.server, gateway.server; print({names} & set(sys.modules))"
    command = [sys.executable, "-c", script]
    ran = subprocess.run(command, cwd=CHECKOUT, env=base_environment(), capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("peer", "trusted", "named"),
    [
        ("10.0.0.1", [PROXIES], PARENT),
        ("10.0.0.1", [ip_network("192.168.0.0/16"), PROXIES], PARENT),
        ("192.0.2.1", [PROXIES], ""),
        ("10.0.0.1", [], ""),
        (None, [PROXIES], ""),
    ],
)
def test_only_a_trusted_proxy_names_the_trace_of_a_request(peer: str | None, trusted: Networks, named: str) -> None:
    assert traceparent_of(peer, {"traceparent": PARENT}, trusted) == named
    assert traceparent_of(peer, {}, trusted) == ""


class EarlierHeader(msgspec.Struct, array_like=True, frozen=True):
    """The header of a message between nodes as versions before traces read it."""

    node: str
    event: str
    kind: str


def test_nodes_of_versions_with_and_without_traces_understand_each_other() -> None:
    with_trace = Envelope("node", "send", b"{}", trace="00-1-2-01")
    assert unpack(pack(with_trace)) == with_trace
    header = msgspec.json.decode(pack(with_trace).partition(b"\n")[0], type=EarlierHeader)
    assert header == EarlierHeader("node", "send", "json")
    earlier = msgspec.json.encode(EarlierHeader("node", "send", "json")) + b"\n{}"
    assert unpack(earlier) == Envelope("node", "send", b"{}")
    assert pack(Envelope("node", "send", b"{}")) == earlier


def test_a_kind_of_topic_says_nothing_about_whom() -> None:
    topics: tuple[list[str], ...] = ([private_chat(7)], [listing(7)], [], ["what a client chose"])
    assert [kind_of(each) for each in topics] == ["private_chat", "listing", "other", "other"]


class SlowInserter:
    """Stands for the repository: makes the span of its statement, and waits until the test lets it go on."""

    stored = 0

    def __init__(self, traced: Traced) -> None:
        self._traced = traced
        self.let = asyncio.Semaphore(0)

    async def insert_many(self, batch: Sequence[NewMessage]) -> list[Message | MessageRefused]:
        with self._traced.tracing.statement("insert"):
            await self.let.acquire()
        return [Message(1, new.from_id, new.to_id, new.text, None, datetime.now(UTC)) for new in batch]


async def test_each_sender_of_a_batch_has_a_span_of_it_and_none_has_that_of_an_earlier_batch(traced: Traced) -> None:
    inserter = SlowInserter(traced)
    writer = TracedMessageWriter(inserter, max_batch=10, max_waiting=10)

    async def send(text: str) -> None:
        await traced.tracing.push("Chat", text, writer.send(NewMessage(1, 2, text)), KeyError)

    sends = [asyncio.create_task(send("first"))]
    await asyncio.sleep(0.01)
    sends += [asyncio.create_task(send(text)) for text in ("second", "third")]
    await asyncio.sleep(0.01)
    inserter.let.release()
    await asyncio.wait(sends[:1])
    inserter.let.release()
    await asyncio.gather(*sends)
    inserter.let.release()
    await writer.send(NewMessage(1, 2, "in no trace"))
    spans = traced.spans()
    pushes = {span.name.removeprefix("Chat "): ids(span) for span in spans if span.name.startswith("Chat ")}
    assert len({trace for trace, _, _ in pushes.values()}) == 3
    stores = {ids(span)[0]: span for span in spans if span.name == "store messages"}
    assert {trace: ids(span)[2] for trace, span in stores.items()} == {trace: own for trace, own, _ in pushes.values()}
    statements = [ids(span) for span in spans if span.name == "postgres insert"]
    of_first, of_second, of_third = (stores[pushes[name][0]] for name in ("first", "second", "third"))
    assert [(trace, parent) for trace, _, parent in statements] == [ids(of_first)[:2], ids(of_second)[:2]]
    assert [link.context.span_id for link in of_third.links] == [ids(of_second)[1]]


async def test_what_outlives_a_push_makes_no_spans(traced: Traced) -> None:
    ended = asyncio.Event()

    async def go_on() -> None:
        await ended.wait()
        with traced.tracing.statement("later"):
            pass
        assert traced.tracing.publish("private_chat", "later") == ""

    async def handle() -> asyncio.Task[None]:
        with traced.tracing.statement("now"):
            pass
        return asyncio.create_task(go_on())

    task = await asyncio.create_task(traced.tracing.push("Chat", "send", handle(), KeyError))
    ended.set()
    await task
    assert [span.name for span in traced.spans()] == ["postgres now", "Chat send"]
