"""Prometheus takes the configuration as it is, each alert comes and goes, and every panel of the dashboard has data."""

from __future__ import annotations

import asyncio
import json
import math
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.runtime.counts import TIMED_EVERY
from shared.timings import BUCKETS
from tests.deployment.composefile import read as read_compose
from tests.deployment.prometheus import CONFIGURATION, Prometheus, program, running_prometheus
from tests.documents.alerts_table import RULES, rules
from tests.documents.guide import CHECKOUT, metrics, named_metrics
from tests.support.client import Person, Rest, Socket
from tests.support.database import query
from tests.support.processes import Processes
from tests.support.roles import as_owner
from tests.support.waiting import eventually

DASHBOARD = CHECKOUT / "deploy" / "grafana" / "daveslist.json"

CALM, LOUD = 70, 70
"""Minutes without and with what an alert is about; then there are as many minutes without it as all of them before."""
BEFORE, DURING, AFTER = CALM - 1, CALM + 20, 2 * (CALM + LOUD) - 1
"""The minutes at which an alert must not fire, must fire, and must not fire any more."""


@dataclass(frozen=True)
class Case:
    """What an alert is about: by series, the value of a gauge in calm and in loud minutes, or what a counter gains."""

    gains: Mapping[str, tuple[float, float]] | None = None
    values: Mapping[str, tuple[float, float]] | None = None
    during: int = DURING

    def series(self) -> list[dict[str, str]]:
        found = []
        for name, (calm, loud) in (self.gains or {}).items():
            top, rest = calm * CALM, CALM + LOUD
            steps = f"0+{calm}x{CALM - 1} {top}+{loud}x{LOUD - 1} {top + loud * LOUD}+{calm}x{rest - 1}"
            found.append({"series": name, "values": steps})
        for name, (calm, loud) in (self.values or {}).items():
            steps = f"{calm}x{CALM - 1} {loud}x{LOUD - 1} {calm}x{CALM + LOUD - 1}"
            found.append({"series": name, "values": steps})
        return found


def slow(metric: str, fast: str, late: str, **labels: str) -> Case:
    """A histogram whose observations are below `fast` in calm minutes, and between `fast` and `late` in loud ones."""
    bounds = {fast: (60, 0), late: (60, 60), "+Inf": (60, 60)}
    others = "".join(f', {name}="{value}"' for name, value in labels.items())
    return Case(gains={f'{metric}_bucket{{le="{bound}"{others}}}': gained for bound, gained in bounds.items()})


def event(name: str, calm: float, loud: float) -> Case:
    return Case(gains={f'daveslist_security_events_total{{event="{name}"}}': (calm, loud)})


CASES = {
    "ProcessGone": Case(values={'up{job="api"}': (1, 0)}),
    "ProcessesRestart": Case(gains={'process_start_time_seconds{job="gateway", instance="a"}': (0, 1)}),
    "WorkerGone": Case(values={'daveslist_worker_up{worker="2"}': (1, 0)}),
    "WorkersDie": Case(gains={'daveslist_worker_deaths_total{job="gateway", instance="a"}': (0, 1)}),
    "ReloadsFail": Case(gains={'daveslist_worker_reload_failures_total{job="api", worker="1"}': (0, 1)}),
    "RedisAway": Case(values={'daveslist_redis_up{job="api"}': (1, 0)}),
    "BroadcastsPileUp": Case(values={'daveslist_unpublished_messages{job="api"}': (1000, 1001)}),
    "PostgresSlow": Case(values={'daveslist_postgres_waiting{job="api"}': (0, 1)}),
    "MessagesWait": Case(values={'daveslist_unwritten_messages{job="gateway"}': (1000, 1001)}),
    "DeliverySlow": slow("gateway_fan_out_seconds", "0.05", "0.25"),
    "ClientsTooSlow": Case(gains={'gateway_closes_total{reason="too slow"}': (50, 70)}),
    "ChannelBusy": Case(values={'gateway_backlog{job="gateway"}': (1000, 1001)}),
    "JoinsSlow": slow("gateway_join_seconds", "1.0", "2.5"),
    "JoinsFail": Case(
        gains={
            'gateway_join_seconds_count{status="ok"}': (95, 85),
            'gateway_join_seconds_count{status="error"}': (5, 15),
        }
    ),
    # After some minutes, what was unusual has become the usual.
    "ConnectsRefused": Case(gains={'gateway_refused_total{reason="bad token"}': (50, 600)}, during=CALM + 6),
    "ForgedMessages": Case(gains={"gateway_forged_total": (0, 1)}),
    "BrokenFrames": Case(
        gains={
            'gateway_closes_total{reason="bad frame"}': (20, 30),
            'gateway_closes_total{reason="not UTF-8"}': (20, 30),
            'gateway_closes_total{reason="protocol error"}': (10, 20),
        }
    ),
    "ChannelsCrash": Case(gains={'gateway_channel_crashes_total{cause="client"}': (50, 70)}),
    "ProgramFaults": Case(gains={"daveslist_faults_total": (0, 1)}),
    "RequestsFail": Case(
        gains={'http_requests_total{status="200"}': (995, 980), 'http_requests_total{status="503"}': (5, 20)}
    ),
    "RequestsSlow": slow("http_request_duration_seconds", "1.0", "2.5", route="/api/listings"),
    "ListingsLate": Case(values={'api_waiting_changes{instance="a"}': (1000, 1001)}),
    "PushesFail": Case(
        gains={
            'api_pushes_total{outcome="sent"}': (60, 40),
            'api_pushes_total{outcome="later"}': (20, 30),
            'api_pushes_total{outcome="refused"}': (20, 30),
        }
    ),
    "AbsenceUnknown": Case(gains={"api_unknown_absences_total": (5, 7)}),
    "MailsNotSent": Case(values={'api_oldest_mail_seconds{instance="a"}': (900, 901)}),
    "MailsGivenUp": Case(gains={"api_given_up_mails_total": (0, 1)}),
    "PasswordsGuessed": event("login_failed", 50, 70),
    "AccessRefused": event("access_refused", 50, 70),
    "LimitsUsedUp": event("limited", 290, 310),
    "PasswordsChange": event("password_changed", 1, 20),
    "SecondFactorsChange": event("passkey_changed", 0, 10),
    "RoleChanged": event("role_changed", 0, 1),
}


ONE_OF_SIXTEEN = (("1.0", 3.75), ("2.5", 4), ("+Inf", 4))
QUIET: dict[str, list[dict[str, float]]] = {
    "JoinsFail": [{'gateway_join_seconds_count{status="ok"}': 0, 'gateway_join_seconds_count{status="error"}': 1}],
    "RequestsFail": [{'http_requests_total{status="200"}': 10, 'http_requests_total{status="503"}': 0.5}],
    # One in four minutes takes more than a second.
    "JoinsSlow": [{f'gateway_join_seconds_bucket{{le="{bound}"}}': gained for bound, gained in ONE_OF_SIXTEEN}],
    "RequestsSlow": [
        *(
            {
                f'http_request_duration_seconds_bucket{{le="{bound}", route="{route}"}}': gained
                for bound, gained in (("1.0", 0.0), ("2.5", 0.0), ("+Inf", 5.0))
            }
            for route in ("/api/listings/{id}/pictures", "/api/uploads/{id}")
        ),
        {
            f'http_request_duration_seconds_bucket{{le="{bound}", route="/api/listings"}}': gained
            for bound, gained in ONE_OF_SIXTEEN
        },
    ],
    "PushesFail": [{'api_pushes_total{outcome="sent"}': 0, 'api_pushes_total{outcome="later"}': 0.5}],
    "MailsNotSent": [
        {"api_mail_failures_total": 0.2, "api_sent_mails_total": 0},
        {"api_mail_failures_total": 9, "api_sent_mails_total": 0.2},
    ],
    "WorkersDie": [{'daveslist_worker_deaths_total{job="gateway", instance="a"}': 0}],
}
"""What happens where few people come, or is as it should be: what counters gain in each minute. Nobody is called."""


def run(*command: str | Path) -> None:
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def try_rules(folder: Path, tests: list[dict[str, Any]]) -> None:
    """Let promtool evaluate the rules in these tests of its own."""
    file = folder / "tests.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    run(program("promtool"), "test", "rules", file)


@pytest.mark.servers
def test_promtool_accepts_the_configuration_and_the_rules() -> None:
    run(program("promtool"), "check", "config", CONFIGURATION / "prometheus.yml")
    run(program("promtool"), "check", "rules", RULES)


def test_prometheus_reads_the_processes_of_the_compose_file() -> None:
    settings = yaml.safe_load((CONFIGURATION / "prometheus.yml").read_text(encoding="utf-8"))
    read = {job["job_name"]: job["static_configs"][0]["targets"] for job in settings["scrape_configs"]}
    services = sorted(read_compose(CHECKOUT / "compose.yaml")["services"])
    assert read == {
        kind: [f"{name}:{port}" for name in services if name.startswith(f"{kind}-")]
        for kind, port in (("gateway", 4000), ("api", 4001))
    }


def test_each_alert_has_a_case() -> None:
    assert list(CASES) == [rule["alert"] for rule in rules()]


def test_the_bounds_that_alerts_name_are_those_of_the_histograms() -> None:
    """A bound that no histogram has would be a series without data, and its alert would never fire."""
    named = {
        (metric, bound)
        for rule in rules()
        for metric, bound in re.findall(r'([a-z_]+)_bucket\{le="([^"]+)"', rule["expr"])
    }
    assert {metric for metric, _ in named} == {"gateway_join_seconds", "http_request_duration_seconds"}
    assert {bound for _, bound in named} <= {"+Inf", *map(repr, BUCKETS)}


@pytest.mark.servers
def test_each_alert_fires_while_there_is_what_it_is_about_and_neither_before_nor_after(tmp_path: Path) -> None:
    asked = []
    for rule in rules():
        case = CASES[rule["alert"]]
        # An alert about one process has the labels of its series, and one about all of them has only its own.
        about_one = re.fullmatch(r"[a-z_]+ [=>]+ \d+", rule["expr"]) is not None
        [labels] = {re.sub(r"^[a-z_]+", "", each) for each in case.values} if about_one and case.values else {"{}"}
        expected: dict[str, Any] = dict(re.findall(r'([a-z]+)="([^"]*)"', labels)) | rule["labels"]
        firing = [{"exp_labels": expected, "exp_annotations": rule["annotations"]}]
        for minute, found in ((BEFORE, []), (case.during, firing), (AFTER, [])):
            asked.append({"eval_time": f"{minute}m", "alertname": rule["alert"], "exp_alerts": found})
    # All in one test, because promtool evaluates all rules in each.
    series = [one for case in CASES.values() for one in case.series()]
    assert len({one["series"] for one in series}) == len(series)
    test = {"interval": "1m", "input_series": series, "alert_rule_test": asked}
    try_rules(tmp_path, [test])


@pytest.mark.servers
def test_single_failures_where_few_people_come_call_nobody(tmp_path: Path) -> None:
    tests: list[dict[str, Any]] = [
        {
            "interval": "1m",
            "input_series": [{"series": name, "values": f"0+{gained}x90"} for name, gained in gains.items()],
            "alert_rule_test": [
                {"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": []} for minute in range(90)
            ],
        }
        for alert, cases in QUIET.items()
        for gains in cases
    ]
    try_rules(tmp_path, tests)


@pytest.mark.servers
def test_mails_that_no_recipient_takes_call_somebody(tmp_path: Path) -> None:
    series = [
        {"series": "api_mail_failures_total", "values": "0+2x90"},
        {"series": "api_sent_mails_total", "values": "0+0x90"},
        {"series": "api_oldest_mail_seconds", "values": "0x90"},
    ]
    [said] = [rule for rule in rules() if rule["alert"] == "MailsNotSent"]
    expected = [{"exp_labels": said["labels"], "exp_annotations": said["annotations"]}]
    asked = [{"eval_time": "60m", "alertname": "MailsNotSent", "exp_alerts": expected}]
    test = {"interval": "1m", "input_series": series, "alert_rule_test": asked}
    try_rules(tmp_path, [test])


def panels() -> list[dict[str, Any]]:
    """The panels of the dashboard, with a short time in the place of the one that Grafana chooses."""
    text = DASHBOARD.read_text(encoding="utf-8").replace("$__rate_interval", "30s")
    found: list[dict[str, Any]] = json.loads(text)["panels"]
    return found


def expressions() -> list[str]:
    """All queries of the dashboard."""
    return sorted({target["expr"] for panel in panels() for target in panel.get("targets", ())})


async def lines(panel: dict[str, Any], prometheus: Prometheus) -> list[str]:
    """The names of the lines that a panel draws."""
    found = []
    for target in panel.get("targets", ()):
        answer = await prometheus.ask("query", query=target["expr"])
        found += [legend(target["legendFormat"], one["metric"]) for one in answer["result"]]
    return found


def legend(form: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda name: labels.get(name[1], ""), form)


def test_the_dashboard_names_no_server_and_no_place() -> None:
    text = DASHBOARD.read_text(encoding="utf-8")
    board = json.loads(text)
    assert not re.search(r"https?://|localhost|127\.0\.0\.1|/home/|/tmp/", text)
    sources = {json.dumps(target["datasource"]) for panel in board["panels"] for target in panel.get("targets", ())}
    assert sources == {json.dumps({"type": "prometheus", "uid": "${datasource}"})}
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))


def test_the_panels_of_the_dashboard_have_places_of_their_own_and_units_of_grafana() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        assert panel["type"] in {"row", "stat", "table", "timeseries"}
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
        unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit", "none")
        assert unit in {"none", "ops", "reqps", "s", "bytes", "percentunit"}
        letters = [target["refId"] for target in panel.get("targets", ())]
        assert len(letters) == len(set(letters))


def test_the_dashboard_shows_every_metric_of_the_guide() -> None:
    assert named_metrics(" ".join(expressions())) == metrics()


async def test_every_query_of_the_dashboard_has_data_of_a_running_pair(processes: Processes, database_url: str) -> None:
    program("prometheus")
    one_of_two = {"RATE_LIMITS": "off", "GATEWAY_WORKERS": "2"}
    api, gateway = await asyncio.gather(processes.api(RATE_LIMITS="off"), processes.gateway(**one_of_two))
    async with Rest(api.url) as rest:
        ann, bob = await rest.register("Ann"), await rest.register("Bob")
        targets = {"api": [api.port], "gateway": [gateway.port]}
        async with (
            running_prometheus(targets) as prometheus,
            await Socket.connect(gateway.socket_url, ann.token) as socket,
        ):
            work = asyncio.create_task(keep_working(rest, socket, ann, bob, as_owner(database_url)))
            missing: list[str] = expressions()

            async def have_data() -> bool:
                assert not work.done(), work.result()
                missing[:] = [each for each in missing if not is_data(await prometheus.ask("query", query=each))]
                return not missing

            try:
                assert await eventually(have_data, 120.0), missing
            finally:
                work.cancel()
            for panel in panels():
                # With several workers on one port, too.
                named = [] if panel["type"] == "table" else await lines(panel, prometheus)
                assert len(named) == len(set(named)), (panel["title"], named)
            stored = (await prometheus.ask("query", query="sum by (job) (daveslist_stored_messages_total)"))["result"]
            assert {one["metric"]["job"] for one in stored if float(one["value"][1]) > 0} == {"api", "gateway"}
            groups = (await prometheus.ask("rules"))["groups"]
            faults = {rule["name"]: rule.get("lastError") for group in groups for rule in group["rules"]}
            assert faults == dict.fromkeys(CASES)


async def keep_working(rest: Rest, socket: Socket, ann: Person, bob: Person, owner: str) -> None:
    """Do what people do, until the task is cancelled."""
    query(owner, "INSERT INTO categories (name, visibility) VALUES ('Watched', 'public')")
    for number in range(1_000_000):
        query(
            owner,
            """INSERT INTO listings (seller_id, category_id, title, content)
               SELECT %s, max(id), 'A car', 'It drives.' FROM categories""",
            bob.id,
        )
        await rest.call("GET", "/api/listings", 200)
        await socket.join(ann.topic)
        await socket.push(ann.topic, "send", {"to": str(bob.id), "message": "By socket"})
        await rest.call("POST", "/api/messages", 201, who=ann, body={"to": str(bob.id), "message": "By REST"})
        for _ in range(TIMED_EVERY if number else 2 * TIMED_EVERY):
            await socket.push(ann.topic, "typing", {"to": str(bob.id)})
        # What is counted has to grow between two looks, and the processes have to have time for others.
        await asyncio.sleep(0.2)


def is_data(answer: Mapping[str, Any]) -> bool:
    """True if the answer has a number."""
    return any(not math.isnan(float(one["value"][1])) for one in answer["result"])
