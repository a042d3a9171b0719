"""The walk's own deployment: a copy of the files, in a folder of its own and under a project name of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

from tests.rolling import release_before
from tests.try_deployment.engine import CommandFailed, Engine, NoEngine

CHECKOUT = Path(__file__).parents[2]
_OF_PROCESSES = (
    *("ALLOWED_ORIGINS", "TRUSTED_PROXIES", "LOG_LEVEL", "API_WORKERS", "GATEWAY_WORKERS", "DATABASE_POOL_SIZE"),
    "SITE_URL",
)
_OF_MAIL = ("MAIL_FROM", "CONFIRM_ADDRESSES", "VAPID_CONTACT")
_READ = frozenset({*_OF_PROCESSES, *_OF_MAIL, "PICTURES_URL", "TLS_PORT"})
"""The variables that the Compose files read, and that do not begin with AWS_."""
SECRETS = ("jwt_secrets", "postgres_password", "redis_password")
"""The names of the files in the folder `secrets`."""
HEALTHY_SECONDS = 300.0
LOOK_SECONDS = 0.2
"""How often the engine is asked for states that it does not report by itself."""
PROJECT_LABEL = "com.docker.compose.project"
NOT_OF_THE_STACK = ("--label", f"{PROJECT_LABEL}=", "--label", "com.docker.compose.service=")
"""Options for a container of one of the stack's images. Without them Compose would take the container for its own."""
LINE = 240
"""The most characters of a line that are shown."""
KEPT = "kept-for-the-walk"
"""The tag that keeps an image which had one of the walk's names before the walk."""

Network = IPv4Network | IPv6Network


def environment_of_an_operator(environ: Mapping[str, str], project: str) -> dict[str, str]:
    """This environment without what the Compose files read, so that only the walk's own settings count."""
    kept = {
        name: value
        for name, value in environ.items()
        if name not in _READ and not name.startswith(("COMPOSE_", "AWS_", "BUILDKIT_PROGRESS"))
    }
    # Port 0 means any free port. The walk's visitors come from inside.
    return {**kept, "COMPOSE_PROJECT_NAME": project, "COMPOSE_ANSI": "never", "PORT": "0", "TLS_PORT": "0"}


def copy_of_the_deployment(directory: Path, checkout: Path = CHECKOUT) -> None:
    """Copy what the Compose files and the Dockerfile name. The walk changes some of it, as an operator does."""
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    taken = [
        line.removeprefix("!")
        for line in (checkout / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    ]
    compose = [path.name for path in checkout.glob("compose*.yaml")]
    for name in (*taken, *compose, "Dockerfile", ".dockerignore", "deploy"):
        there = directory / name
        there.parent.mkdir(parents=True, exist_ok=True)
        if (checkout / name).is_dir():
            shutil.copytree(checkout / name, there, ignore=ignored, dirs_exist_ok=True)
        else:
            shutil.copy2(checkout / name, there)


def copy_of_the_release_before(directory: Path) -> None:
    """Copy the same files as the release before has them."""
    with tempfile.TemporaryDirectory() as whole:
        subprocess.run(["tar", "-x", "-C", whole], input=release_before.archive(), check=True)
        copy_of_the_deployment(directory, Path(whole))


def remove_the_deployment(directory: Path) -> None:
    """Remove all files of a version. The secrets and what the walk has written itself stay.

    The folders stay too, as with `git checkout`: containers have mounted some of them.
    """
    kept = {"secrets", "containers.log", "visitors.log", "visitors.env"}
    for path in directory.iterdir():
        if path.name not in kept:
            for file in [path, *path.rglob("*")]:
                if not file.is_dir():
                    file.unlink()


def is_lasting(container: dict[str, Any]) -> bool:
    return container["HostConfig"]["RestartPolicy"]["Name"] in ("always", "unless-stopped")


def plain(text: str) -> str:
    """The text without terminal codes. Compose writes some of them also to a pipe."""
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)


def overlapping(wanted: list[Network], networks: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The engine's description of the first network that has one of these addresses."""
    for network in networks:
        for held in (network.get("IPAM") or {}).get("Config") or []:
            if "Subnet" not in held:
                continue
            other = ip_network(held["Subnet"], strict=False)
            if any(other.version == own.version and other.overlaps(own) for own in wanted):
                return network
    return None


class Stack:
    """The containers of one project, and the folder in which its commands are given."""

    def __init__(self, engine: Engine, project: str) -> None:
        self.engine = engine
        self.project = project
        self.directory = engine.directory
        self._follower: subprocess.Popen[bytes] | None = None
        self._log = self.directory / "containers.log"
        self._kept: dict[str, bool] = {}

    # The folder

    def write_secrets(self, **secrets: str) -> None:
        """Make the folder of the secrets anew, with these files."""
        self.forget_secrets()
        folder = self.directory / "secrets"
        folder.mkdir(mode=0o700)
        for name, value in secrets.items():
            (folder / name).write_text(f"{value}\n", encoding="utf-8")
            (folder / name).chmod(0o444)

    def forget_secrets(self) -> None:
        shutil.rmtree(self.directory / "secrets", ignore_errors=True)

    def secrets(self) -> dict[str, str]:
        """The value of each secret that there is, by its name."""
        folder = self.directory / "secrets"
        return {path.name: path.read_text(encoding="utf-8").strip() for path in folder.iterdir()}

    def change(self, name: str, edit: Callable[[str], str]) -> None:
        """Edit a file of the stack in place. It must stay the same file, because it may be mounted into a container."""
        path = self.directory / name
        text = path.read_text(encoding="utf-8")
        changed = edit(text)
        assert changed != text, f"{name} is not changed"
        path.write_text(changed, encoding="utf-8")

    def configuration(self) -> dict[str, Any]:
        """compose.yaml as Compose understands it."""
        text = self.engine.run("compose", "config", "--format", "json").output
        found: dict[str, Any] = json.loads(text.replace("$$", "$"))
        return found

    def own_images(self) -> set[str]:
        """The names of the images that a build makes."""
        services = self.configuration()["services"].values()
        return {service["image"] for service in services if "build" in service}

    # The engine

    def refuse_taken_addresses(self) -> None:
        """Raises NoEngine if another network has the addresses that compose.yaml fixes."""
        networks = self.configuration()["networks"].values()
        configured = [each for network in networks for each in (network.get("ipam") or {}).get("config") or []]
        wanted = [ip_network(each["subnet"]) for each in configured if "subnet" in each]
        ids = self.engine.run("network", "ls", "--quiet", "--no-trunc").output.split()
        taken = overlapping(wanted, self.engine.inspect(ids))
        if taken is not None:
            raise NoEngine(
                f"the addresses of compose.yaml ({', '.join(map(str, wanted))}) are held by the network "
                f"{taken['Name']}: take its stack down first"
            )

    def keep_images(self) -> None:
        """Keep the images that have our names now, for `give_images_back`."""
        for name in self.own_images():
            repository = name.partition(":")[0]
            done = self.engine.run("tag", name, f"{repository}:{KEPT}", check=False)
            self._kept[name] = done.code == 0

    def give_images_back(self) -> None:
        for name, was_there in self._kept.items():
            repository = name.partition(":")[0]
            if was_there:
                self.engine.run("tag", f"{repository}:{KEPT}", name, check=False)
                self.engine.run("rmi", f"{repository}:{KEPT}", check=False)
            else:
                self.engine.run("rmi", name, check=False)

    def containers(self) -> dict[str, dict[str, Any]]:
        """The engine's description of each service's container."""
        ids = self.engine.run(
            "ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={PROJECT_LABEL}={self.project}"
        ).output.split()
        found = {}
        for container in self.engine.inspect(ids):
            labels = container["Config"]["Labels"]
            if labels.get("com.docker.compose.oneoff") != "True":
                found[labels["com.docker.compose.service"]] = container
        return found

    def running(self) -> dict[str, dict[str, Any]]:
        """The containers with a health check. Containers that end by themselves are left out."""
        return {name: each for name, each in self.containers().items() if is_lasting(each)}

    def until_healthy(self, *, started_after: Mapping[str, str] | None = None) -> None:
        """Wait until all containers are healthy. Those in `started_after` must have started after the given time."""
        deadline = time.monotonic() + HEALTHY_SECONDS
        while True:
            states = {name: container["State"] for name, container in self.running().items()}
            is_new = all(states[name]["StartedAt"] != before for name, before in (started_after or {}).items())
            healths = {name: state.get("Health", {}).get("Status", state["Status"]) for name, state in states.items()}
            if is_new and all(state == "healthy" for state in healths.values()):
                return
            if time.monotonic() > deadline:
                raise CommandFailed(f"not healthy within {HEALTHY_SECONDS:.0f} s: {healths}")
            time.sleep(LOOK_SECONDS)

    def down(self) -> None:
        """Stop and remove the stack's containers, networks and volumes."""
        self.engine.run("compose", "down", "--volumes", "--remove-orphans", "--timeout", "15")
        self._stop_following()

    # What the containers write

    def follow(self) -> None:
        """Write the logs to a file from now on, because a container's log is deleted when it is replaced."""
        self._stop_following()
        with self._log.open("ab") as log:
            self._follower = subprocess.Popen(
                [self.engine.docker, "compose", "logs", "--follow", "--no-color", "--timestamps"],
                cwd=self.directory,
                env=dict(self.engine.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def keep_log(self) -> None:
        """Append the current logs of the containers to the same file. Some lines are then there twice."""
        done = self.engine.run("compose", "logs", "--no-color", "--timestamps")
        with self._log.open("a", encoding="utf-8") as log:
            log.write(done.text)

    def log(self) -> list[str]:
        """All lines of that file."""
        text = self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""
        return plain(text).splitlines()

    def log_of(self, service: str) -> list[str]:
        """The lines that the present container of a service has written."""
        done = self.engine.run("logs", self.containers()[service]["Id"])
        return done.text.splitlines()

    def last_lines(self, count: int = 15) -> str:
        """The last lines of each container, cut to the width of a terminal."""
        done = self.engine.run("compose", "logs", "--no-color", f"--tail={count}", check=False)
        return "\n".join(line[:LINE] for line in plain(done.text).splitlines())

    def _stop_following(self) -> None:
        if self._follower is not None:
            self._follower.terminate()
            self._follower.wait()
            self._follower = None

    def remove(self) -> None:
        """Remove everything of the stack from the engine and from the disk. Never raises."""
        self._stop_following()
        for words in (
            ("rm", "--force", "--volumes", f"{self.project}-visitors"),
            ("rmi", "--force", f"{self.project}-people:now"),
            ("compose", "down", "--volumes", "--remove-orphans", "--timeout", "5"),
        ):
            self.engine.run(*words, check=False)
        self.give_images_back()
        # Later builds of this project have taken the names of earlier ones.
        self.engine.run("image", "prune", "--force", "--filter", f"label={PROJECT_LABEL}={self.project}", check=False)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder below the checkout: the guide mounts files from there, so the engine can."""
    directory = CHECKOUT / ".daveslist" / f"try-deployment-{os.getpid()}"
    directory.mkdir(parents=True)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)
        # The folder may also have the data of `make run`, which must stay.
        with suppress(OSError):
            directory.parent.rmdir()
