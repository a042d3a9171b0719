"""What a deployment has with the world: mail, pictures in a bucket, and HTTPS."""

from __future__ import annotations

import re
import time
from functools import partial
from typing import Any

from tests.support.certificate import make_certificate
from tests.try_deployment import guide
from tests.try_deployment.neighbour import Neighbour, folder_of
from tests.try_deployment.steps.ending import routes_out
from tests.try_deployment.walk import Walk

SITE = "https://cars.example.com"
MAIL_HOST = "mail.example.com"
S3_HOST = "s3.example.com"
BUCKET = "s3://bucket/prefix"
NAMED = re.compile(r"COMPOSE_FILE=(\S+)")


def mail_reaches_people(walk: Walk) -> str:
    """With the guide's commands, people confirm their addresses and choose new passwords by mail."""
    stack = walk.stack
    commands = guide.block(guide.MAIL)
    assert (SITE in commands, MAIL_HOST in commands) == (True, True), commands
    files = folder_of(stack, "mail")
    authority = make_certificate(files, MAIL_HOST).chain
    stack.change("compose.mail.yaml", with_an_authority)
    (stack.directory / "secrets" / "authority").write_bytes(authority.read_bytes())
    give(walk, commands)
    walk.neighbours["mail"] = mail = Neighbour(stack, "mail", MAIL_HOST)
    mail.start(volumes=(f"{files}:/neighbour:ro",))
    started = time.monotonic()
    # The visitors have read the settings before, and belong to networks that are the same.
    eve = walk.visitors.do("register", names=["Eve"])[0]
    walk.visitors.do("may_not_write_yet", name="Eve", to="Ann")
    confirming = _mail(mail, eve["email"], "/address/confirm")
    arrived = time.monotonic() - started
    walk.visitors.do("confirm_the_address", name="Eve", to="Ann", token=_token(confirming, "/address/confirm"))
    walk.visitors.do("forget_the_password", name="Eve")
    resetting = _mail(mail, eve["email"], "/password/reset")
    walk.visitors.do("choose_a_password", name="Eve", token=_token(resetting, "/password/reset"))
    told = {(line["user"], line["is_over_tls"]) for line in (confirming, resetting)}
    assert told == {("user", True)}, f"mails came as {told}"
    ways = routes_out(walk, ("gateway-1", "gateway-2"))
    assert not ways, f"{ways}"
    return (
        f"two mails over TLS with a log-in, the first {arrived:.1f} s after the request; the gateways have no way out"
    )


def with_an_authority(compose: str) -> str:
    """compose.mail.yaml with the certificate of the operator's own authority."""
    compose = compose.replace(
        "    SMTP_URL_FILE:", "    SSL_CERT_FILE: /run/secrets/authority\n    SMTP_URL_FILE:", 1
    ).replace("secrets: [smtp_url,", "secrets: [authority, smtp_url,", 1)
    return f"{compose}  authority: {{ file: ./secrets/authority }}\n"


def pictures_are_in_a_bucket(walk: Walk) -> str:
    """With the guide's commands, the pictures of before and new ones are in S3."""
    stack = walk.stack
    commands = guide.block(guide.S3)
    assert BUCKET in commands, commands
    before = walk.visitors.do("census", pictures=walk.pictures)["pictures"]
    bucket, _, prefix = BUCKET.removeprefix("s3://").partition("/")
    volume = stack.configuration()["volumes"]["pictures"]["name"]
    (stack.directory / ".env").touch()
    stack.change(".env", lambda text: f"{text}AWS_ENDPOINT_URL=http://{S3_HOST}:9000\n")
    walk.neighbours["storage"] = storage = Neighbour(stack, "storage", S3_HOST)
    copied = storage.start(bucket, prefix, volumes=(f"{volume}:/volume:ro",))["copied"]
    assert copied >= len(walk.pictures), f"{copied} files copied of {len(walk.pictures)} pictures"
    give(walk, commands)
    after = walk.visitors.do("census", pictures=walk.pictures)["pictures"]
    assert after == before, (before, after)
    new = walk.visitors.do("pictures")["paths"]
    walk.pictures += new
    names = _objects(walk, storage, bucket)
    assert len(names) == copied + len(new), f"{len(names)} objects, where {copied} were copied and {len(new)} are new"
    assert all(name.startswith(f"{prefix}/") for name in names), names[:3]
    return f"{copied} files copied, {len(before)} pictures as before, {len(new)} new ones in the bucket"


def _objects(walk: Walk, storage: Neighbour, bucket: str) -> list[str]:
    """The names in the bucket, as the server lists them."""
    script = (
        "import re, urllib.request as r\n"
        f"print(*re.findall('<Key>(.*?)</Key>', r.urlopen('http://127.0.0.1:9000/{bucket}').read().decode()))"
    )
    done = walk.stack.engine.run("exec", storage.container, "python", "-c", script)
    return done.output.split()


def browsers_come_by_https(walk: Walk) -> str:
    """With the guide's commands, the site is there by HTTPS, and leads there who comes without."""
    stack = walk.stack
    files = folder_of(stack, "tls")
    host = SITE.removeprefix("https://")
    certificate = make_certificate(files, host)
    for name, made in (("fullchain.pem", certificate.chain), ("privkey.pem", certificate.key)):
        (stack.directory / name).write_bytes(made.read_bytes())
    give(walk, guide.block(guide.TLS))
    found = walk.visitors.do("come_by_https", host=host, authority=certificate.chain.read_text(encoding="utf-8"))
    # Another certificate, as after some months: nginx reads it on command.
    newer = make_certificate(files, host)
    for name, made in (("fullchain.pem", newer.chain), ("privkey.pem", newer.key)):
        (stack.directory / name).write_bytes(made.read_bytes())
    stack.engine.shell(guide.block(guide.RENEW))
    authority = newer.chain.read_text(encoding="utf-8")
    walk.visitors.do("until_certified", host=host, authority=authority)
    return f"{found['spoken']}, {found['messages']} messages by wss, 308 to HTTPS, a new certificate on command"


def give(walk: Walk, commands: str) -> None:
    """Give the guide's commands, which name only the Compose files of their chapter, with those of before."""
    stack = walk.stack
    path = stack.directory / ".env"
    path.touch()
    before = NAMED.findall(path.read_text(encoding="utf-8"))
    if before:
        commands = NAMED.sub(partial(_with_those_of_before, before[-1]), commands)
    stack.engine.shell(commands)
    stack.until_healthy()
    # Those who follow the logs have ended with the containers that were replaced.
    stack.follow()


def _with_those_of_before(before: str, match: re.Match[str]) -> str:
    return f"COMPOSE_FILE={before}:{match[1].removeprefix('compose.yaml:')}"


def _mail(server: Neighbour, to: str, path: str) -> dict[str, Any]:
    return server.line(lambda line: to in line.get("to", ()) and f"{SITE}{path}" in line["text"])


def _token(mail: dict[str, Any], path: str) -> str:
    """The token in the link of a mail. It is behind the `#`, which browsers send to no server."""
    [token] = re.findall(rf"{re.escape(SITE + path)}#(?:token=)?([\w.~-]+)", mail["text"])
    return str(token)
