"""The OpenAPI document describes every route as it behaves, and the page that shows it is safe to open."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData

from api.routes import ROUTES
from shared.access.push_key import new_push_key
from shared.access.tokens import Tokens
from shared.domain.uploads import PARTIAL
from shared.domain.users import Role
from shared.settings import Settings
from tests.api.conftest import Api, MakeApi, Person
from tests.api.rows import Rows
from tests.api.test_conventions import PIXEL
from tests.support.forked import CHECKOUT
from tests.support.processes import Processes, base_environment

pytestmark = pytest.mark.usefixtures("at_rest")

SERVED = {(route.method, route.path) for route in ROUTES if route.path.startswith(("/api", "/health", "/metrics"))}

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)


async def document(api: Api) -> Any:
    return await api.call("GET", "/api/openapi.json", 200)


async def test_the_document_has_exactly_the_served_routes(api: Api) -> None:
    paths = (await document(api))["paths"]
    assert {(method.upper(), path) for path, methods in paths.items() for method in methods} == SERVED


async def test_the_document_is_openapi_3_1_with_names_and_answers_for_every_operation(api: Api) -> None:
    described = await document(api)
    assert described["openapi"].startswith("3.1.")
    operations = [operation for methods in described["paths"].values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"]
        assert operation["tags"]
        assert {"422", "500"} <= set(operation["responses"])
        assert [status for status in operation["responses"] if status.startswith("2")]
        assert ("401" in operation["responses"]) is (
            "security" in operation
            or operation["operationId"] in ("accounts_login", "accounts_refresh", "passkeys_login")
        )
        for name in re.findall(r"'\$ref': '#/components/schemas/(\w+)'", str(operation)):
            assert name in described["components"]["schemas"]


async def test_the_example_of_wrong_input_is_one_that_the_route_can_have(api: Api) -> None:
    described = await document(api)
    for methods in described["paths"].values():
        for operation in methods.values():
            examples = operation["responses"]["422"]["content"]["application/problem+json"]["examples"]
            errors = examples["invalid"]["value"]["errors"]
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is None:
                assert errors == {"page": ["Unknown parameter."]}, operation["operationId"]
                assert "page" not in {parameter["name"] for parameter in operation["parameters"]}
                continue
            schema = described["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
            [(name, sentences)] = errors.items()
            known = sentences == ["Missing data for required field."] and name in schema["required"]
            assert known or (sentences == ["Unknown field."] and name not in schema["properties"])


async def test_every_query_parameter_is_explained_and_never_null(api: Api) -> None:
    for methods in (await document(api))["paths"].values():
        for operation in methods.values():
            for parameter in operation["parameters"]:
                assert "null" not in str(parameter["schema"])
                if parameter["in"] == "query":
                    assert "description" in parameter or f"`{parameter['name']}`" in operation["summary"]


async def test_every_write_documents_429_with_retry_after(api: Api) -> None:
    for methods in (await document(api))["paths"].values():
        for method, operation in methods.items():
            if method != "get":
                assert operation["responses"]["429"]["headers"]["Retry-After"]["required"]


TOKENS = ("accounts_refresh", "accounts_leave", "recovery_reset", "addresses_confirm", "sanctions_object")
SECOND_FACTOR_CODES = ("second_factor_confirm", "second_factor_remove", "second_factor_new_codes")

PASSKEYS = ("passkeys_add", "passkeys_login", "passkeys_remove")


async def test_the_examples_work(make_api: MakeApi, rows: Rows) -> None:
    api = await make_api(vapid_private_key=new_push_key(), site_url="https://cars.example.com")
    described = await document(api)
    admin = await api.register(role=Role.ADMIN)
    other = await api.register()
    bodies = {
        operation["operationId"]: (path, method, operation, content["application/json"]["example"])
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
        if "application/json" in (content := operation.get("requestBody", {}).get("content", {}))
    }
    category = bodies.pop("categories_create")
    assert await _send(api, admin, category, 0) == {"id": 1, **category[3], "created_at": _any()}
    listing_id = (await _send(api, admin, bodies.pop("listings_create"), 0))["id"]
    assert (await _send(api, admin, bodies.pop("saved_searches_create"), 0))["id"] == listing_id
    trashed_id = await rows.listing(other.id, 1, trashed_at="now()")
    await api.call("POST", "/api/messages", 201, who=other, json={"to": admin.id, "message": "First"})
    ids = {"trash_restore": trashed_id, "categories_change": 1, "users_change_role": other.id, "users_ban": other.id}
    ids |= dict.fromkeys(("conversations_mark_read", "conversations_decide"), other.id)
    ids["reports_create"] = await rows.listing(other.id, 1)
    reply = await api.call("POST", f"/api/listings/{listing_id}/replies", 201, who=other, json={"text": "Hello"})
    ids |= {"reports_create_about_user": other.id, "reports_create_about_reply": reply["id"]}
    for _ in range(2):
        form = FormData({"picture": io.BytesIO(PIXEL)})
        await api.call("POST", f"/api/listings/{listing_id}/pictures", 201, who=admin, data=form)
    # An objection has to be there before somebody decides about it.
    warned = await api.call("POST", f"/api/users/{other.id}/warnings", 201, who=admin, json={"reason": "x"})
    await rows.execute("UPDATE sanctions SET objection = 'No', objected_at = now()")
    ids["sanctions_decide"] = warned["id"]
    ids |= dict.fromkeys(("sanctions_suspend", "sanctions_warn", "notes_add_about_user"), other.id)
    [[ids["holds_decide"]]] = await rows.fetch("INSERT INTO holds (user_id) VALUES (%s) RETURNING id", other.id)
    # Two groups of the queue that somebody else has reported.
    third = await api.register()
    ids["moderation_close_listing_group"] = await rows.listing(third.id, 1)
    ids["moderation_close_person_group"] = third.id
    for path in (f"listings/{ids['moderation_close_listing_group']}", f"users/{third.id}"):
        await api.call("POST", f"/api/{path}/reports", 201, who=other, json={"reason": "spam"})
    # These need a token, a password, a code or a passkey, which an example cannot know.
    for name in (*TOKENS, *SECOND_FACTOR_CODES, *PASSKEYS):
        del bodies[name]
    for name in sorted(bodies, key=lambda name: (name != "accounts_register", name)):
        await _send(api, admin, bodies[name], ids.get(name, listing_id))


def _any() -> Any:
    class Any_:
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    return Any_()


async def _send(api: Api, who: Person, example: tuple[str, str, Any, Any], target_id: int) -> Any:
    path, method, operation, body = example
    concrete = re.sub(r"\{\w+\}", str(target_id), path)
    [status] = [int(status) for status in operation["responses"] if status.startswith("2")]
    return await api.call(method.upper(), concrete, status, who=who, json=body)


async def test_the_page_allows_only_its_own_script_and_style(api: Api) -> None:
    response = await api.client.get("/api/docs")
    text = await response.text()
    assert (response.status, response.content_type, response.charset) == (200, "text/html", "utf-8")
    policy = response.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    for tag in ("script", "style"):
        [inline] = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not re.search(r"https?://|//cdn|innerHTML|eval\(", text)


@pytest.mark.parametrize(
    ("role", "phases"), [("admin", "examples,coverage"), ("admin", "fuzzing"), ("visitor", "fuzzing")]
)
async def test_generated_requests_get_only_documented_answers(
    processes: Processes, settings: Settings, rows: Rows, tmp_path: Path, role: str, phases: str
) -> None:
    headers: list[str] = []
    await _insert_rows(rows)
    if role == "admin":
        await rows.execute("UPDATE users SET role = 'admin' WHERE id = 10")
        token = Tokens(settings.jwt_secrets, 3600).issue(10, Role.ADMIN, None)
        headers = ["-H", f"Authorization: Bearer {token}"]
    node = await processes.api(RATE_LIMITS="off", LOG_LEVEL="WARNING")
    (tmp_path / "media_types.py").write_text(
        f'import schemathesis\nschemathesis.serializer.alias("{PARTIAL}", "application/octet-stream")\n'
    )
    run = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"{node.url}/api/openapi.json",
        *headers,
        # These two would end the session that all requests use.
        *("--exclude-operation-id", "accounts_logout", "--exclude-operation-id", "accounts_leave"),
        *("--phases", phases, "--max-examples", "6"),
        *("--checks", ",".join(CHECKS), "--continue-on-failure", "--no-shrink", "--no-color", "--warnings", "off"),
        *("--generation-deterministic", "--suppress-health-check", "all"),
        cwd=tmp_path,
        env={
            # It reads all variables for each request.
            **base_environment(),
            "PYTHONPATH": str(tmp_path),
            "SCHEMATHESIS_HOOKS": "media_types",
            # What Hypothesis computes of all characters is kept there.
            "HYPOTHESIS_STORAGE_DIRECTORY": str(CHECKOUT / ".hypothesis"),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await run.communicate()
    finally:
        if run.returncode is None:
            run.kill()
            await run.wait()
    report = "\n".join(line[:300] for line in output.decode().splitlines())
    assert run.returncode == 0, report
    assert re.search(r"Test cases:\s+\d{3,} generated", report), report
    assert "request failed" not in node.output()


async def _insert_rows(rows: Rows) -> None:
    """Insert rows with small ids, because the fuzzer tries small ids first."""
    await rows.execute(
        "INSERT INTO users (name, email, password_hash)"
        " SELECT 'User', 'user' || n || '@example.com', 'none' FROM generate_series(1, 10) n"
    )
    category_id = await rows.category()
    for number in range(6):
        listing_id = await rows.listing(10, category_id, **({"trashed_at": "now()"} if number > 3 else {}))
        await rows.execute("INSERT INTO replies (listing_id, author_id, text) VALUES (%s, 10, 'Hi')", listing_id)
        await rows.execute(
            "INSERT INTO uploads (user_id, listing_id, length, expires_at) VALUES (10, %s, 9, 'tomorrow')", listing_id
        )
        await rows.execute("INSERT INTO reports (listing_id, reporter_id, reason) VALUES (%s, 9, 'spam')", listing_id)
    await rows.execute("INSERT INTO messages (from_id, to_id, text) VALUES (10, 1, 'Hi'), (1, 10, 'Hello')")
