"""A wrong value in the environment is refused, in one line that names the variable."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest
from redis.asyncio.connection import parse_url

from shared.access.secret_faults import MINIMUM_SECRET_BYTES, secret_fault
from shared.postgres.address import parsed
from shared.postgres.address import with_password as with_database_password
from shared.redis import with_password as with_redis_password
from shared.settings import InvalidSettings, Settings
from shared.start import check_addresses

RANDOM = [
    "6f1d0c5b9e7a4f32b8d16c0ea95f7d2348b1c6e0f97a5d3b",
    "9c0e7d4b2f6a18539e0d7c4b1f6a2853",
    "q0Zt3vXo9LkP1mWc8Rb5Ys7Ud2Hf4Jg6Na0Ee+/x1T0=",
    "31415926535897932384626433832795",
    "Bq8-fT_2xW0z.Lk5~vN9/cR7+mJ3=pY6",
    "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
]
GUESSABLE = [
    "short",
    "a" * 32,
    "ab" * 20,
    "0123456789abcdef" * 2,
    "one-phrase-one-phrase-one-phrase-one",
    "a" * 31 + "\u00e9",
    "abcdefghijklmnopqrstuvwxyz012345",
    "98765432109876543210zyxwvutsrqponm",
    "aabbaabababbabbabaabbababaabbaba",
    "change-me-change-it-before-you-start!",
    "CHANGE_ME_7f3b9a1c5d8e2f4a6b0c9d8e7f",
    "your-256-bit-secret-goes-in-here-ok",
    "a-string-secret-at-least-256-bits-long",
    "replace this with 32 random bytes...",
    "my super secret key, 2026 edition",
    "qwertyuiopasdfghjklzxcvbnm1357924680",
    "<insert a long random string here!>",
    "PLACEHOLDER-7f3b9a1c5d8e2f4a6b0c9d",
]
BAD_LISTS = [
    "short",
    f"{RANDOM[0]},short",
    f"{RANDOM[0]},{RANDOM[0]}",
    f"{RANDOM[0]},",
    f",{RANDOM[0]}",
    f"{RANDOM[0]},,{RANDOM[1]}",
    ",",
    f"{RANDOM[0]}, {'a' * 32}",
    f"{RANDOM[0]},change-me-change-it-before-you-start!",
    ",".join(RANDOM),
]
REFUSED = {
    "CURRENCY": ["euro", "EURO", "eur", "$", "E R"],
    "DISTANCE_UNIT": ["miles", "m", "KM"],
    "ALLOWED_ORIGINS": [
        "nonsense here", "ftp//broken:port:1", "https//a.example", "https:/a.example", "https:a.example", "https://",
        "https://a.example/path", "https://a.example?x", "https://a.example#x", "https://u@a.example",
        "https://a.example:0", "https://a.example:65536", "https://a.example:port", "https://a.example:1:2",
        "https://*", "https://*.", "https://a.*.example", "https://a*.example", "*.*.example", "https://**.example",
        "*.127.0.0.1", "https://999.1.1.1", "https://[::1", "https://[zz]", "https://*.[::1]", "wss://a.example",
        "ws://a.example", "ftp://a.example", "data:", "file:///home", "file:", "Null", "NULL", "'https://a.example'",
        '"https://a.example"', "https://a.example;https://b.example", "https://a.example https://b.example",
        "https://b\u00fccher.example", "https://a..example", ".example", "https://a.example, nonsense here", ",", " , ",
        "null/", "file", "file://localhost", "https://null", "https://.", ".", "//.",
        "[https://a.example]", "https://a.example\\", "**", "*:8080", "//", "://a.example", "https://a.example//",
    ],
    "TRUSTED_PROXIES": ["nonsense", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/8;10.1.0.0/16", "localhost", ","],
    "LOG_LEVEL": ["LOUD", "10", "warn", "TRACE"],
    "SITE_URL": ["cars.example.com", "wss://a.example", "https://", "https://a.example/x", "https://a:port", "https://*.b"],
    "GATEWAY_URL": ["chat.example.com", "wss://a.example", "https://", "https://a.example/x", "https://a:port", "https://*.b"],
    "AWS_ENDPOINT_URL": ["s3.example.com", "ftp://s3.example.com", "https://"],
    "AWS_ENDPOINT_URL_S3": ["nonsense here"],
    "API_PORT": ["0", "-1", "65536", "http", "4001.5"],
    "GATEWAY_PORT": ["0", "70000", "4000,4001"],
    "MAX_MESSAGE_BYTES": ["-1", "0", "1 MB", "1e6", str(10**30)],
    "DATABASE_POOL_SIZE": ["0", "-5", "many", str(10**12)],
    "IDLE_SECONDS": ["0", "-1", "nan", "inf", "-inf", "1e300", "1m", "2000001"],
    "ACCESS_TOKEN_SECONDS": ["-1", "99999999999"],
    "RATE_LIMITS": ["maybe", "1", "yes"],
    "ENVIRONMENT": ["staging", "Production"],
    "JWT_SECRET": GUESSABLE,
    "JWT_SECRETS": BAD_LISTS,
}  # fmt: skip
ACCEPTED = {
    "ALLOWED_ORIGINS": [
        "*", "null", "file://", "https://a.example", "HTTPS://A.Example", "https://a.example/", "http://localhost:3000",
        "https://a.example:8443", "https://*.a.example", "*.a.example", "a.example", "a.example:9000", "//a.example",
        "localhost", "127.0.0.1:8080", "http://[::1]:3000", "[::1]", "capacitor://localhost", "ionic://localhost",
        "app://.", "http://[0:0:0:0:0:0:0:1]", "[0:0::1]",
        "chrome-extension://abcdef", "app://obsidian.md", "https://xn--bcher-kva.example", "https://a_b.example",
        "null, file://,https://a.example", "*.com", "//*.a.example:80",
    ],
    "TRUSTED_PROXIES": ["10.0.0.0/8", "10.0.0.0/8, 2001:db8::/32", "127.0.0.1", "::1"],
    "JWT_SECRET": [
        *RANDOM, ",".join(RANDOM), "correct horse battery staple paperclip", f"\u043a\u043b\u044e\u0447 {RANDOM[0]}",
    ],
    "JWT_SECRETS": [RANDOM[0], f"{RANDOM[0]},{RANDOM[1]}", f" {RANDOM[0]} ,\n{RANDOM[1]}\n", ",".join(RANDOM[:5])],
    "LOG_LEVEL": ["debug", "INFO", "Warning", "ERROR"],
    "SITE_URL": ["https://cars.example.com", "https://[::1]:4000/"],
    "GATEWAY_URL": ["https://chat.example.com", "http://127.0.0.1:4000", "https://[::1]:4000/"],
    "AWS_ENDPOINT_URL": ["http://127.0.0.1:9000", "https://s3.example.com/path"],
    "CURRENCY": ["EUR", "JPY"],
    "DISTANCE_UNIT": ["km", "mi"],
    "IDLE_SECONDS": ["0.5", "60", "2000000"],
    "REFRESH_TOKEN_SECONDS": ["2592000"],
    "PICTURE_MEMORY_BYTES": [str(2**40)],
    "NEW_ACCOUNT_DAYS": ["0", "7"],
}  # fmt: skip


def pairs(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(name, text) for name, texts in table.items() for text in texts]


@pytest.mark.parametrize(("name", "text"), pairs(REFUSED))
def test_a_wrong_value_is_refused_in_one_line_with_the_name_of_the_variable(name: str, text: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        Settings.from_environment({name: text})
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    assert "\n" not in message


@pytest.mark.parametrize(("name", "text"), pairs(ACCEPTED))
def test_a_valid_value_is_accepted(name: str, text: str) -> None:
    Settings.from_environment({name: text})


URLS = [
    ("DATABASE_URL", "nonsense"),
    ("DATABASE_URL", "mysql://u:SECRET@h/d"),
    ("DATABASE_URL", "postgresql://u:SECRET@h:port/d"),
    ("DATABASE_URL", "postgresql://u:SECRET@h:99999/d"),
    ("DATABASE_URL", "postgresql://u:SECRET@h/d?nonsense=1"),
    ("DATABASE_URL", "postgresql://u:SECRET@h/d?sslmode=nonsense"),
    ("REDIS_URL", "nonsense"),
    ("REDIS_URL", "http://:SECRET@h"),
    ("REDIS_URL", "redis://:SECRET@h:port"),
    ("REDIS_URL", "redis://:SECRET@h:99999"),
    ("REDIS_URL", "redis://:SECRET@h?nonsense=1"),
    ("REDIS_URL", "redis://:SECRET@h?protocol=2"),
    ("REDIS_URL", "redis://:SECRET@h?decode_responses=true"),
    ("REDIS_URL", "rediss://:SECRET@h?ssl_cert_reqs=none&encoding=latin-1"),
    ("REDIS_URL", "redis+cluster://:SECRET@h?legacy_responses=false"),
    ("REDIS_URL", "redis+sentinel://:SECRET@h/cars?protocol=2"),
    ("REDIS_URL", "nonsense+cluster://:SECRET@h"),
    ("REDIS_URL", "redis+cluster://"),
    ("REDIS_URL", "redis://:SECRET@"),
    ("REDIS_URL", "redis://:SECRET@/0"),
    ("REDIS_URL", "redis://:SECRET@h/abc"),
    ("REDIS_URL", "redis://:SECRET@h/1/2"),
    ("REDIS_URL", "redis+cluster://:SECRET@h/1"),
    ("REDIS_URL", "nonsense+sentinel://:SECRET@h/cars"),
    ("REDIS_URL", "unix+sentinel://:SECRET@h/cars"),
    ("REDIS_URL", "redis+sentinel://:SECRET@/cars"),
    ("REDIS_URL", "redis+sentinel://:SECRET@h,/cars"),
    ("REDIS_URL", "redis+sentinel://:SECRET@h:port/cars"),
    ("REDIS_URL", "redis+sentinel://:SECRET@h,i:99999/cars"),
    ("REDIS_URL", "redis+sentinel://:SECRET@h,[::1/cars"),
    ("REDIS_URL", "redis+sentinel://:SECRET@h,i"),
    ("REDIS_URL", "redis+sentinel://:SECRET@h,i/"),
    ("REDIS_URL", "redis+sentinel://:SECRET@h/cars/one"),
    ("REDIS_URL", "redis+sentinel://:SECRET@h/cars/1/2"),
    ("REDIS_URL", "redis+sentinel://h/cars?sentinel_password=SECRET&nonsense=1"),
    ("REDIS_URL", "redis+sentinel://:SECRET@h/cars#x"),
    ("REDIS_URL", "redis://:SECRET#x@h"),
]


@pytest.mark.parametrize(("name", "url"), URLS)
def test_an_invalid_url_is_refused_with_its_variable_and_without_its_password(name: str, url: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        check_addresses(Settings.from_environment({name: url}))
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    assert "\n" not in message
    assert "SECRET" not in message


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("DATABASE_URL", "postgresql://u:p@h:5432/d?sslmode=require"),
        ("DATABASE_URL", "postgresql:///d?host=/tmp/sockets"),
        ("DATABASE_URL", "host=a,b port=5432,5433 dbname=d"),
        ("DATABASE_URL", "postgresql://h/d?port="),
        ("REDIS_URL", "redis://h"),
        ("REDIS_URL", "rediss://u:p@h:6380/1"),
        ("REDIS_URL", "unix:///tmp/redis.sock?db=2"),
        ("REDIS_URL", "redis://h?protocol=3&socket_timeout=1"),
        ("REDIS_URL", "redis+cluster://h:6379"),
        ("REDIS_URL", "rediss+cluster://h:6379"),
        ("REDIS_URL", "redis+sentinel://h/cars"),
        ("REDIS_URL", "redis+sentinel://u:p@h:26379,[::1]:26380,i/cars/2?sentinel_username=a&sentinel_password=b"),
        ("REDIS_URL", "rediss+sentinel://h,i/cars?ssl_ca_certs=/etc/ca.pem"),
    ],
)
def test_a_valid_url_is_accepted(name: str, url: str) -> None:
    check_addresses(Settings.from_environment({name: url}))


def test_refresh_tokens_must_live_at_least_as_long_as_access_tokens() -> None:
    """Otherwise the row of a log-out would be deleted while an access token of its session is still valid."""
    with pytest.raises(
        InvalidSettings, match=r"^REFRESH_TOKEN_SECONDS: must be at least ACCESS_TOKEN_SECONDS, 3600, not 3599$"
    ):
        Settings.from_environment({"REFRESH_TOKEN_SECONDS": "3599"})
    with pytest.raises(InvalidSettings, match=r"^REFRESH_TOKEN_SECONDS: [^\n]+, 2592001, not 2592000$"):
        Settings.from_environment({"ACCESS_TOKEN_SECONDS": "2592001"})
    same = Settings.from_environment({"REFRESH_TOKEN_SECONDS": "60", "ACCESS_TOKEN_SECONDS": "60"})
    assert same.refresh_token_seconds == same.access_token_seconds == 60


SECRETS = ["DATABASE_URL", "DATABASE_PASSWORD", "REDIS_URL", "REDIS_PASSWORD", "REDIS_SENTINEL_PASSWORD"]
SECRETS += ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_can_come_from_a_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / "a secret"
    file.write_text("a-secret-of-thirty-two-bytes-or-more\n")
    settings = Settings.from_environment({f"{name}_FILE": str(file)})
    assert getattr(settings, name.lower()) == "a-secret-of-thirty-two-bytes-or-more"
    assert "a-secret-of" not in repr(settings)


def test_the_keys_of_tokens_can_come_from_a_file_as_a_list_or_as_one(tmp_path: Path) -> None:
    file = tmp_path / "a secret"
    for name, text, expected in (
        ("JWT_SECRETS", f"{RANDOM[0]},{RANDOM[1]}\n", RANDOM[:2]),
        ("JWT_SECRETS", f"{RANDOM[0]}\n{RANDOM[1]}\n", RANDOM[:2]),
        ("JWT_SECRETS", RANDOM[0], RANDOM[:1]),
        ("JWT_SECRET", RANDOM[0], RANDOM[:1]),
    ):
        file.write_text(text)
        settings = Settings.from_environment({f"{name}_FILE": str(file)})
        assert settings.jwt_secrets == tuple(expected)
        assert not any(secret in repr(settings) for secret in expected)


def test_a_single_secret_may_have_commas_and_a_list_is_split_at_them() -> None:
    both = f"{RANDOM[0]},{RANDOM[1]}"
    assert Settings.from_environment({"JWT_SECRET": both}).jwt_secrets == (both,)
    assert Settings.from_environment({"JWT_SECRETS": both}).jwt_secrets == tuple(RANDOM[:2])
    with pytest.raises(InvalidSettings, match=r"^JWT_SECRET: give either this or JWT_SECRETS, not both$"):
        Settings.from_environment({"JWT_SECRET": RANDOM[0], "JWT_SECRETS": RANDOM[0]})


def test_no_part_of_a_refused_secret_is_in_the_message() -> None:
    for name in ("JWT_SECRET", "JWT_SECRETS"):
        for text in REFUSED[name]:
            with pytest.raises(InvalidSettings) as refused:
                Settings.from_environment({name: text})
            for part in (*text.split(","), *text.split()):
                assert len(part) < 8 or part[:8] not in str(refused.value)


@pytest.mark.parametrize(
    "make", [secrets.token_hex, secrets.token_urlsafe, lambda size: secrets.token_bytes(size).hex()]
)
def test_a_random_secret_is_never_refused(make: Callable[[int], str]) -> None:
    for size in (16, 24, 32, 48, 64):
        for _ in range(200):
            one = make(size)
            if len(one) >= MINIMUM_SECRET_BYTES:
                assert secret_fault(one) is None
    digits = f"{secrets.randbelow(10**40):040}"
    assert secret_fault(digits) is None


def test_production_needs_a_secret() -> None:
    with pytest.raises(InvalidSettings, match=r"^JWT_SECRETS: required in production$"):
        Settings.from_environment({"ENVIRONMENT": "production", "DATABASE_URL": "x", "REDIS_URL": "y"})


def test_a_file_that_cannot_be_used_is_named_and_its_content_is_not(tmp_path: Path) -> None:
    broken, empty = tmp_path / "broken", tmp_path / "empty"
    broken.write_bytes(b"secret\xff")
    empty.write_text(" \n")
    for path, reason in (
        (tmp_path / "missing", "no such file"),
        (tmp_path, "is a directory"),
        (broken, "not UTF-8"),
        (empty, "is empty"),
    ):
        with pytest.raises(InvalidSettings, match=rf"^JWT_SECRETS_FILE: .*{reason}") as refused:
            Settings.from_environment({"JWT_SECRETS_FILE": str(path)})
        assert "secret\\xff" not in str(refused.value)
    both = {"JWT_SECRETS_FILE": str(empty), "JWT_SECRETS": RANDOM[0]}
    with pytest.raises(InvalidSettings, match=r"^JWT_SECRETS_FILE: give either"):
        Settings.from_environment(both)


def test_only_secrets_are_read_from_files(tmp_path: Path) -> None:
    file = tmp_path / "level"
    file.write_text("DEBUG")
    assert Settings.from_environment({"LOG_LEVEL_FILE": str(file)}) == Settings()


@pytest.mark.parametrize("password", ["plain", "p@ss:/$%\"#`'\\ word", "ключ"])
def test_a_password_of_its_own_completes_an_address(password: str) -> None:
    complete = with_database_password("postgresql://daveslist@db:5432/daveslist", password)
    assert parsed(complete) == {
        "user": "daveslist",
        "host": "db",
        "port": "5432",
        "dbname": "daveslist",
        "password": password,
    }
    for scheme in ("redis", "redis+cluster", "rediss"):
        url = with_redis_password(f"{scheme}://daveslist@redis:6379/0", password)
        options = parse_url(url.replace("+cluster", ""))
        assert (options["username"], options["password"], options["host"]) == ("daveslist", password, "redis")
    assert parse_url(with_redis_password("redis://redis:6379", password))["password"] == password


@pytest.mark.parametrize("hosts", ["redis", "redis:26379,other", "[::1]:1,other:2"])
def test_passwords_complete_an_address_of_sentinels(hosts: str) -> None:
    url = with_redis_password(f"redis+sentinel://app@{hosts}/cars/2?sentinel_username=asker", "a/?@:", "b&=@")
    assert (
        url == f"redis+sentinel://app:a%2F%3F%40%3A@{hosts}/cars/2?sentinel_username=asker&sentinel_password=b%26%3D%40"
    )
    assert with_redis_password(url, "other", "another") == url
    bare = with_redis_password(f"rediss+sentinel://{hosts}/cars", "", "b")
    assert bare == f"rediss+sentinel://{hosts}/cars?sentinel_password=b"
    assert with_redis_password(f"redis+sentinel://{hosts}/cars?", "", "b") == bare.replace("rediss", "redis")
    assert with_redis_password("redis://redis", "a", "b") == "redis://:a@redis"


def test_the_password_in_an_address_stays() -> None:
    for given in ("postgresql://a:b@db/c", "postgresql://a@db/c?password=b"):
        assert parsed(with_database_password(given, "other"))["password"] == "b"
    assert with_database_password("postgresql://a@db/c", "") == "postgresql://a@db/c"
    assert with_redis_password("redis://a:b@redis", "other") == "redis://a:b@redis"
    assert with_redis_password("redis://redis", "") == "redis://redis"
