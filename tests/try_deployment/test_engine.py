"""Tests how the walk finds a container engine, and how it runs commands. Without an engine it says what is missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.try_deployment import __main__ as program
from tests.try_deployment.engine import CommandFailed, Engine, NoEngine, find_engine, tail


def test_without_docker_the_walk_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program.main() == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "no container engine here: there is no `docker` on the PATH\n")


def docker(directory: Path, script: str) -> dict[str, str]:
    """An environment whose `docker` is this script."""
    path = directory / "docker"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return {"PATH": f"{directory}:{os.environ['PATH']}"}


@pytest.mark.servers
def test_a_docker_without_compose_is_not_enough(tmp_path: Path) -> None:
    environment = docker(tmp_path, """echo "docker: 'compose' is not a docker command." >&2; exit 1""")
    with pytest.raises(NoEngine, match=r"^this container engine is not enough: its `docker` has no `docker compose`$"):
        find_engine(tmp_path, environment)


@pytest.mark.servers
def test_an_engine_that_does_not_answer_is_reported_with_dockers_message(tmp_path: Path) -> None:
    says = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
    environment = docker(tmp_path, f'if [ "$1" = compose ]; then echo 2.30.0; else echo "{says}" >&2; exit 1; fi')
    with pytest.raises(NoEngine) as no_engine:
        find_engine(tmp_path, environment)
    assert str(no_engine.value) == f"the container engine does not answer: {says}"


@pytest.mark.servers
def test_an_engine_that_answers_is_reported_with_its_versions(tmp_path: Path) -> None:
    environment = docker(tmp_path, 'if [ "$1" = compose ]; then echo 2.30.0; else echo 27.1.0; fi')
    engine, versions = find_engine(tmp_path, environment)
    assert versions == "engine 27.1.0, Compose 2.30.0"
    assert engine.run("version").output == "27.1.0\n"


@pytest.mark.servers
def test_a_failed_command_raises_with_its_exit_code_and_output(tmp_path: Path) -> None:
    engine = Engine("docker", tmp_path, {"PATH": os.environ["PATH"], "WORD": "here"})
    assert engine.shell('echo "$WORD"; pwd').output == f"here\n{tmp_path}\n"
    with pytest.raises(CommandFailed, match=r"exit code 3: first \| second"):
        engine.shell("echo first; echo second >&2; exit 3")
    # The first failing line ends the commands.
    with pytest.raises(CommandFailed, match="exit code 1"):
        engine.shell("false\ntrue")
    with pytest.raises(CommandFailed, match="not ended after 0 s"):
        engine.shell("sleep 5", patience=0.05)


def test_only_the_end_of_an_output_is_shown() -> None:
    assert tail("one\ntwo\nthree\n", lines=2) == "two | three"
    assert tail("") == ""
