"""In development the secret for tokens is made once and kept in a private file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from shared.access.secret import jwt_secrets
from shared.settings import InvalidSettings, Settings

CHECKOUT = Path(__file__).parents[3]


def test_a_given_secret_is_used_and_no_file_is_written(tmp_path: Path) -> None:
    given = ("x" * 32, "y" * 32)
    assert jwt_secrets(Settings(jwt_secrets=given, data_directory=tmp_path / "data")) == given
    assert not (tmp_path / "data").exists()


def test_without_a_secret_one_is_made_once_in_a_private_file(tmp_path: Path) -> None:
    settings = Settings(data_directory=tmp_path / "data")
    (secret,) = jwt_secrets(settings)
    assert len(secret) >= 32
    assert jwt_secrets(settings) == (secret,)
    assert jwt_secrets(Settings(data_directory=tmp_path / "other")) != (secret,)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["jwt_secret"]
    assert (tmp_path / "data" / "jwt_secret").stat().st_mode & 0o777 == 0o600


@pytest.mark.servers
def test_processes_that_start_together_use_the_same_secret(tmp_path: Path) -> None:
    script = """
import pathlib, sys
from shared.access.secret import jwt_secrets
from shared.settings import Settings
sys.stdin.readline()
print(jwt_secrets(Settings(data_directory=pathlib.Path(sys.argv[1]))))
"""
    command = [sys.executable, "-c", script, str(tmp_path / "data")]
    together = [
        subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in together:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    secrets = {process.communicate()[0] for process in together}
    assert len(secrets) == 1
    assert secrets.pop().strip()


def test_the_file_may_list_several_secrets(tmp_path: Path) -> None:
    (secret,) = jwt_secrets(Settings(data_directory=tmp_path))
    (new,) = jwt_secrets(Settings(data_directory=tmp_path / "other"))
    for separator in (",", "\n", " ,\n"):
        (tmp_path / "jwt_secret").write_text(f"{new}{separator}{secret}\n")
        assert jwt_secrets(Settings(data_directory=tmp_path)) == (new, secret)


@pytest.mark.parametrize("content", ["short\n", "", "a" * 64, "two\nlines"])
def test_a_file_with_a_secret_that_can_be_guessed_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "jwt_secret").write_text(content)
    with pytest.raises(
        InvalidSettings, match=r"^JWT_SECRETS: not set, and the secret in [^\n]+ cannot be used: it "
    ) as e:
        jwt_secrets(Settings(data_directory=tmp_path))
    assert str(tmp_path / "jwt_secret") in str(e.value)
    assert (tmp_path / "jwt_secret").read_text() == content


def test_a_folder_that_cannot_be_created_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidSettings, match=r"^DATA_DIRECTORY: without JWT_SECRETS one is kept in [^\n]+$"):
        jwt_secrets(Settings(data_directory=tmp_path / "file"))
