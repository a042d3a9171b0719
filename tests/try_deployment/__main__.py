"""`python -m tests.try_deployment` follows the operating guide in a container engine. `make try-deployment` runs it.

The exit code is 0 if every step succeeded, 1 if one failed, and 2 if there is no engine to use. Then one line says why.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from types import FrameType

from tests.try_deployment.engine import NoEngine, find_engine
from tests.try_deployment.stack import (
    CHECKOUT,
    SECRETS,
    Stack,
    copy_of_the_deployment,
    environment_of_an_operator,
    scratch_folder,
)
from tests.try_deployment.steps import (
    cluster,
    ending,
    faults,
    outside,
    replacing,
    sentinels,
    starting,
    upgrading,
    visiting,
)
from tests.try_deployment.walk import Report, Step, Walk

SERVICES = ("gateway-1", "gateway-2", "api-1", "api-2", "redis", "postgres", "nginx")
STEPS: tuple[tuple[str, Step], ...] = (
    ("no secrets", starting.refuses_without_secrets),
    ("up", starting.comes_up),
    ("up again", starting.said_again_it_changes_nothing),
    ("page and API", visiting.page_and_api_answer),
    ("chat", visiting.two_people_chat),
    ("long poll", visiting.long_poll_works),
    ("a role", visiting.a_role_is_given),
    ("pictures", visiting.pictures_come_and_go),
    ("too large", visiting.too_large_is_said),
    ("/metrics", visiting.metrics_are_for_nobody),
    ("another site", visiting.other_sites_get_nothing),
    ("addresses", visiting.visitors_are_told_apart),
    ("database role", ending.database_role_has_few_rights),
    ("no way out", ending.processes_have_no_way_out),
    ("compiled", ending.nothing_is_compiled_at_a_start),
    ("secrets in files", ending.secrets_are_only_in_files),
    *((f"{service} restarted", faults.restarted(service)) for service in SERVICES),
    *((f"{service} killed", faults.killed(service)) for service in SERVICES),
    ("replaced", replacing.processes_are_replaced),
    ("up after that", replacing.said_again_after_a_replacement_it_changes_nothing),
    ("nginx told", replacing.nginx_reads_its_configuration_anew),
    ("schema apart", replacing.schema_is_applied_apart),
    ("restored in place", ending.backup_is_put_in_the_place_of_what_is_there),
    ("restored from nothing", ending.backup_is_restored_from_nothing),
    ("Redis Cluster", cluster.takes_the_place_of_redis),
    ("a master fails over", cluster.lets_a_replica_take_over),
    ("other addresses", cluster.comes_back_with_other_addresses),
    ("one Redis again", cluster.gives_its_place_back),
    ("sentinels", sentinels.are_added),
    ("Redis fails over", sentinels.let_the_replica_take_over),
    ("and back", sentinels.take_back_the_first_server),
    ("third gateway", replacing.a_third_gateway_is_added),
    ("mail", outside.mail_reaches_people),
    ("pictures in S3", outside.pictures_are_in_a_bucket),
    # From here on nginx answers only by HTTPS.
    ("HTTPS", outside.browsers_come_by_https),
    ("stop and start", ending.stops_and_starts_in_order),
    ("logs bounded", ending.logs_are_bounded),
    ("logs", ending.logs_have_no_secret),
    ("release before", upgrading.release_before_comes_up),
    ("upgrade", upgrading.is_upgraded),
    ("gone back", upgrading.is_gone_back_from),
    ("upgrade again", upgrading.is_upgraded),
)
NEEDED = frozenset({"up", "restored in place", "restored from nothing", "stop and start", "release before"})
"""The walk ends if one of these steps fails: the later ones need their results."""


def show(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    environment = environment_of_an_operator(os.environ, f"daveslist-walk-{os.getpid()}")
    try:
        engine, versions = find_engine(CHECKOUT, environment)
        show(f"walking docs/operating.md: {versions}")
        with scratch_folder() as directory:
            copy_of_the_deployment(directory)
            return walk_in(Stack(replace(engine, directory=directory), environment["COMPOSE_PROJECT_NAME"]))
    except NoEngine as reason:
        print(reason, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; everything that was started is removed", file=sys.stderr)
        return 130


def walk_in(stack: Stack) -> int:
    """Take all steps, and leave nothing in the engine. Raises NoEngine if another stack is in the way."""
    signal.signal(signal.SIGTERM, _interrupt)
    stack.write_secrets(**dict.fromkeys(SECRETS, "x" * 48))
    stack.refuse_taken_addresses()
    stack.keep_images()
    walk, report = Walk(stack), Report(show)
    left = len(STEPS)
    try:
        for name, step in STEPS:
            left -= 1
            if not report.take(name, step, walk) and name in NEEDED:
                break
        if report.failed:
            show(stack.last_lines())
        show(report.summary(left))
        return 0 if not report.failed and not left else 1
    finally:
        # A second Ctrl-C is ignored: it would leave the containers running.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        walk.visitors_leave()
        walk.neighbours_leave()
        stack.remove()


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
