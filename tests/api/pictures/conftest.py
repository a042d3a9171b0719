"""Two kinds of picture storage for tests: a folder of the test's own, and a bucket of an S3 server in this process."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from shared.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MakeSettings = Callable[[], Settings]


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """moto's S3 server, in this process, on a free port."""
    # The import takes seconds, and only the tests with a bucket need it.
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_REGION", "us-east-1")


def create_bucket(endpoint: str) -> str:
    name = f"pictures-{uuid4().hex}"
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{name}", method="PUT"), timeout=10).close()
    return name


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.servers)])
def make_settings(request: pytest.FixtureRequest, tmp_path: Path) -> MakeSettings:
    """Makes settings; each call names a new, empty folder or bucket."""
    if request.param == "folder":
        return lambda: Settings(pictures_url=(tmp_path / "all pictures" / uuid4().hex).as_uri())
    request.getfixturevalue("aws")
    endpoint = request.getfixturevalue("s3_endpoint")
    return lambda: Settings(pictures_url=f"s3://{create_bucket(endpoint)}/of/cars", aws_endpoint_url=endpoint)
