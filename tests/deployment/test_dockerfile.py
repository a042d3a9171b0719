"""The builder of dockerfile.py carries out known steps as a container engine does, and fails at unknown steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deployment.dockerfile import Stage, StepFailed, build

pytestmark = pytest.mark.servers

FROM = "FROM python:3.13.16-slim AS build\nWORKDIR /daveslist\n"


def follow(tmp_path: Path, text: str, ignore: str = "*\n!schema.sql\n!api\n") -> dict[str, Stage]:
    context, directory = tmp_path / "context", tmp_path / "stages"
    (context / "api").mkdir(parents=True)
    directory.mkdir()
    (context / "api" / "app.py").touch()
    (context / "schema.sql").touch()
    (context / "other.sql").touch()
    (context / ".dockerignore").write_text(ignore, encoding="utf-8")
    (context / "Dockerfile").write_text(text, encoding="utf-8")
    return build(context / "Dockerfile", directory)


def test_an_existing_folder_keeps_its_owner(tmp_path: Path) -> None:
    """So an image cannot write to a folder that root has made, even if a later COPY sets the owner."""
    stages = follow(
        tmp_path,
        f"{FROM}RUN mkdir data\nFROM python:3.13.16-slim AS base\nCOPY --from=build /daveslist /daveslist\n"
        "COPY --from=build --chown=10001:10001 /daveslist/data /daveslist/data\nUSER 10001:10001\n",
    )
    assert stages["base"].owner("/daveslist/data") == "0:0"


def test_copied_files_belong_to_the_user_in_chown(tmp_path: Path) -> None:
    stages = follow(
        tmp_path,
        f"{FROM}COPY --chown=7:8 api given/deep\nCOPY --chown=7:8 schema.sql given/\nCOPY api api/\nWORKDIR /empty\n"
        "FROM python:3.13.16-slim AS base\nCOPY --from=build --chown=9:9 /empty /daveslist/data\nFROM base AS last\n",
    )
    build_stage = stages["build"]
    given = ["given", "given/deep", "given/deep/app.py", "given/schema.sql"]
    assert {build_stage.owner(f"/daveslist/{name}") for name in given} == {"7:8"}
    assert {build_stage.owner(f"/daveslist/{name}") for name in (".", "api", "api/app.py")} == {"0:0"}
    assert stages["last"].owner("/daveslist/data") == "9:9"


@pytest.mark.parametrize(
    "step",
    [
        "COPY --chmod=755 api api/",
        "COPY --link api api/",
        "COPY --from=build --exclude=x api api/",
        "COPY --from=nginx:1.30.7 api api/",
        "COPY --chown=daveslist api api/",
        "COPY --chown api api/",
        "COPY api schema.sql there/",
        "COPY a* there/",
        'COPY ["api", "api/"]',
        "COPY other.sql ./",
        "COPY missing ./",
        "ADD api api/",
        "RUN --mount=type=cache,target=x true",
        "RUN --network=none true",
        'RUN ["true"]',
        "RUN mkdir /data",
        "RUN chown 10001 .",
        "RUN install -d -o 10001 data",
        "RUN true <<END",
        "RUN true \\",
        "RUN false",
        "ENV A=1 B=2",
        "ENV A 1",
        'ENV A="1"',
        "ENV A=$B",
        "USER daveslist",
        "USER 10001",
        "CMD python -m api",
        "CMD []",
        "HEALTHCHECK NONE",
        'HEALTHCHECK --start-interval=1s CMD ["true"]',
        "HEALTHCHECK --interval=5s CMD true",
        "EXPOSE 4000/udp",
        "STOPSIGNAL 15",
        'ENTRYPOINT ["python"]',
        "VOLUME /daveslist/data",
        "ARG VERSION",
        "LABEL a=b",
        'SHELL ["bash"]',
        "ONBUILD RUN true",
        "run true",
        "# escape=`",
        "# syntax=docker/dockerfile:1",
        "FROM --platform=linux/amd64 python:3.13.16-slim AS next",
        "FROM debian:13 AS next",
        "FROM python:3.13.16-slim",
        "FROM build AS build",
    ],
)
def test_an_unknown_step_fails(tmp_path: Path, step: str) -> None:
    with pytest.raises(StepFailed):
        follow(tmp_path, f"{FROM}{step}\n")


@pytest.mark.parametrize("step", ["RUN true", "WORKDIR /daveslist/deeper"])
def test_a_step_that_makes_files_as_another_user_than_root_fails(tmp_path: Path, step: str) -> None:
    with pytest.raises(StepFailed, match="not known here"):
        follow(tmp_path, f"{FROM}USER 10001:10001\n{step}\n")


def test_a_copy_between_stages_of_files_with_another_owner_fails(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="not known here"):
        follow(
            tmp_path,
            f"{FROM}COPY --chown=7:8 api api/\nFROM python:3.13.16-slim AS base\nCOPY --from=build /daveslist /x\n",
        )


@pytest.mark.parametrize("lines", ["!api\n", "*\napi/*.txt\n", "*\n!api\n!a*\n"])
def test_an_unknown_pattern_in_dockerignore_fails(tmp_path: Path, lines: str) -> None:
    with pytest.raises(StepFailed, match="dockerignore"):
        follow(tmp_path, f"{FROM}COPY api api/\n", lines)


def test_a_stage_inherits_the_declarations_of_its_base(tmp_path: Path) -> None:
    stages = follow(
        tmp_path,
        f'{FROM}ENV A=1\nEXPOSE 4000\nSTOPSIGNAL SIGTERM\nCMD ["x"]\nHEALTHCHECK --interval=5s CMD ["y"]\n'
        "USER 1:1\nFROM build AS next\nEXPOSE 4001\n",
    )
    stage = stages["next"]
    assert (stage.environment, stage.ports, stage.stop_signal) == ({"A": "1"}, [4000, 4001], "SIGTERM")
    assert (stage.command, stage.healthcheck, stage.user) == (["x"], ["y"], "1:1")
    assert stages["build"].ports == [4000]
