"""The page's files as the API serves them: addresses, versions, content policy; and rules that all its modules keep."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from graphlib import CycleError, TopologicalSorter
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from api.assets.files import CHECKOUT, CLIENT, FOLDER, SCRIPT
from api.handlers.pages import WITH_CONTENT
from api.handlers.web import PAGES
from tests.api.conftest import SHARES_THE_API, Api, MakeApi
from tests.support.vendored import PACKAGES, VENDOR, contents

pytestmark = pytest.mark.usefixtures("at_rest")

LOCK = PACKAGES.parent / "package-lock.json"


def own(suffix: str) -> list[Path]:
    """The page's files with this suffix, without the vendored libraries."""
    return [path for path in FOLDER.rglob(f"*{suffix}") if VENDOR not in path.parents]


def imports(path: Path) -> list[Path]:
    """The files that a module imports. All names are relative, because a browser cannot resolve package names."""
    names = re.findall(r'^(?:import|export|}) ?(?:[^"\n]*from )?"([^"]+)";?$', path.read_text("utf-8"), re.MULTILINE)
    assert all(name.startswith(".") for name in names), f"{path.name} imports {names}"
    return [(path.parent / name).resolve() for name in names]


async def policy(api: Api, **headers: str) -> dict[str, str]:
    """The directives of the page's Content-Security-Policy."""
    response = await api.client.get("/", headers=headers)
    assert response.status == 200
    directives = (part.strip().partition(" ") for part in response.headers["Content-Security-Policy"].split(";"))
    return {name: value for name, _, value in directives}


async def socket_address(api: Api, **headers: str) -> str:
    response = await api.client.get("/", headers=headers)
    found = re.search(r'<meta name="socket" content="([^"]*)">', await response.text())
    assert found is not None
    return found[1]


@SHARES_THE_API
async def test_the_version_in_the_page_is_the_one_that_the_server_tells(shared_api: Api) -> None:
    page = await (await shared_api.client.get("/login")).text()
    told = await (await shared_api.client.get("/web/version")).json()
    assert f'<meta name="version" content="{told["version"]}">' in page
    assert told["version"] == await version(shared_api)


async def version(api: Api) -> str:
    found = re.search(rf"/web/([0-9a-f]+)/{SCRIPT}", await (await api.client.get("/")).text())
    assert found is not None
    return found[1]


async def test_every_address_of_the_page_without_content_serves_the_same_document(api: Api) -> None:
    documents = set()
    for path in set(PAGES) - set(WITH_CONTENT):
        response = await api.client.get(path.replace("{id}", "12").replace("{user_id}", "7") + "?q=golf")
        assert (response.status, response.content_type) == (200, "text/html")
        assert response.headers["Cache-Control"] == "no-cache"
        # Only the addresses that search engines may list say so.
        text = await response.text()
        assert ('content="noindex"' in text) == (path not in ("/login", "/register")), path
        own = r"<(title|link rel=.canonical|link rel=.modulepreload|meta property|meta name=.robots)[^\n]*"
        documents.add(re.sub(own, "", text))
    assert len({re.sub(r"\n\s*", "\n", text) for text in documents}) == 1
    await api.call("GET", "/nowhere", 404)


@pytest.mark.parametrize(
    ("path", "format", "side"),
    [
        ("/favicon.ico", "ICO", 48),
        ("/apple-touch-icon.png", "PNG", 180),
        ("/apple-touch-icon-precomposed.png", "PNG", 180),
    ],
)
async def test_the_icons_are_where_browsers_and_feed_readers_look_for_them(
    api: Api, path: str, format: str, side: int
) -> None:
    response = await api.client.get(path)
    assert response.status == 200
    assert response.headers["Content-Type"] in ("image/vnd.microsoft.icon", "image/png")
    assert "max-age" in response.headers["Cache-Control"]
    with Image.open(BytesIO(await response.read())) as icon:
        assert (icon.format, icon.size) == (format, (side, side))
        assert len(icon.convert("RGB").getcolors(side * side) or ()) > 1
    again = await api.client.get(path, headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status, await again.read()) == (304, b"")


@SHARES_THE_API
async def test_password_managers_are_led_to_where_a_password_is_changed(shared_api: Api) -> None:
    # https://w3c.github.io/webappsec-change-password-url/
    response = await shared_api.client.get("/.well-known/change-password", allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (303, "/account")
    missing = await shared_api.client.get(
        "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200"
    )
    assert missing.status == 404


def test_the_router_knows_exactly_the_served_addresses() -> None:
    router = (FOLDER / "router.js").read_text(encoding="utf-8")
    routes = re.findall(r'^  \["(/[^"]*)", (\w+)(\("\w+"\))?, ', router, re.MULTILINE)
    assert {path: name if is_later else None for path, name, is_later in routes} == PAGES


async def test_the_policy_allows_one_style_nothing_else_inline_and_no_foreign_origin(make_api: MakeApi) -> None:
    api = await make_api(gateway_port=4000)
    [style] = re.findall(r"<style>(.*?)</style>", await (await api.client.get("/")).text(), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert await policy(api, Host="cars.example:4001") == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": f"'sha256-{digest}'",
        "img-src": "'self' blob:",
        "manifest-src": "'self'",
        "connect-src": "'self' http://cars.example:4000 ws://cars.example:4000",
        "worker-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "lit-html service-worker",
    }


async def test_the_document_contains_the_limits_of_all_forms(make_api: MakeApi) -> None:
    api = await make_api(max_picture_bytes=3 * 2**20, erase_after_days=12, new_account_days=4, new_account_people=7)
    text = await (await api.client.get("/")).text()
    found = re.search(r'<meta name="limits" content="([^"]*)">', text)
    assert found is not None
    limits = json.loads(html.unescape(found[1]))
    assert (limits["pictures"], limits["picture_bytes"], limits["page_items"]) == (10, 3 * 2**20, 100)
    assert (limits["picture_pixels"], limits["picture_side"]) == (60_000_000, 2048)
    assert limits["erase_after_days"] == 12
    new = limits["new_accounts"]
    assert (new["days"], new["people"], set(new)) == (4, 7, {"days", "listings", "people"})
    assert limits["forms"]["ReplyBody"] == {"text": {"maxlength": 255}}
    named = re.compile(r'new Form\(this, "[^"]+", "(\w+)"|request: "([A-Z]\w+)"|limitsOf\("(\w+)"\)')
    forms = {"".join(names) for path in own(".js") for names in named.findall(path.read_text(encoding="utf-8"))}
    assert forms - {""} <= set(limits["forms"])
    assert len(forms) > 10


def test_no_module_copies_a_limit_of_the_server() -> None:
    for path in own(".js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"""(maxlength|minlength)(=|: ?)["']?[0-9]|\b(min|max): ?[0-9]|MAX_PICTURES""", text), path
        assert not re.search(r"new Form\((?!this, \"[^\"]+\", \"|view, )", text), path


async def test_in_development_the_gateway_is_on_the_same_host_and_its_own_port(make_api: MakeApi) -> None:
    api = await make_api(gateway_port=4000)
    assert await socket_address(api, Host="cars.example:4001") == "http://cars.example:4000/socket"
    assert await socket_address(api, Host="cars.example") == "http://cars.example:4000/socket"
    assert await socket_address(api, Host="[::1]:4001") == "http://[::1]:4000/socket"


async def test_in_production_the_gateway_has_the_pages_own_address(make_api: MakeApi) -> None:
    api = await make_api(environment="production")
    assert await socket_address(api, Host="cars.example") == "/socket"
    assert (await policy(api, Host="cars.example"))["connect-src"] == "'self' ws://cars.example wss://cars.example"


async def test_the_setting_gateway_url_names_a_gateway_on_another_host(make_api: MakeApi) -> None:
    api = await make_api(gateway_url="https://chat.example.com/")
    assert await socket_address(api) == "https://chat.example.com/socket"
    assert (await policy(api))["connect-src"] == "'self' https://chat.example.com wss://chat.example.com"


@SHARES_THE_API
@pytest.mark.parametrize("host", ["a; script-src *", "a b", 'a"><script>', "a,b", "a/b", "a:99999999"])
async def test_a_malformed_host_header_is_in_neither_policy_nor_document(shared_api: Api, host: str) -> None:
    assert (await policy(shared_api, Host=host))["connect-src"] == "'self'"
    assert await socket_address(shared_api, Host=host) == "/socket"


@SHARES_THE_API
async def test_files_are_cached_for_ever_only_under_their_current_version(shared_api: Api) -> None:
    current = await version(shared_api)
    for name in (SCRIPT, "api/web/icon.svg", "api/web/main.js"):
        response = await shared_api.client.get(f"/web/{current}/{name}")
        assert (response.status, response.charset) == (200, "utf-8")
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        now = await response.read()
        # A page of before an upgrade still gets what it asks for.
        response = await shared_api.client.get(f"/web/0123456789abcdef/{name}")
        assert response.status == 200
        assert response.headers["Cache-Control"] == "no-cache"
        assert await response.read() == now


@SHARES_THE_API
async def test_a_page_needs_one_script_and_no_other_file_before_it_can_be_seen(shared_api: Api) -> None:
    for path in ("/", "/listings/999999999"):
        text = await (await shared_api.client.get(path)).text()
        needed = re.findall(r'<(?:script|link(?! rel="alternate")|img)\b[^>]*?(?:src|href)="(/[^"]*)"', text)
        assert [address.rpartition("/")[2] for address in needed] == ["icon.svg", "app.webmanifest", "all.js"], path
        assert text.index("<style>") < text.index("<script")
        assert "@import" not in text


@SHARES_THE_API
async def test_a_page_whose_view_is_in_a_later_script_names_it_so_that_both_come_together(shared_api: Api) -> None:
    current = await version(shared_api)
    for path, script in PAGES.items():
        text = await (await shared_api.client.get(path.replace("{id}", "12").replace("{user_id}", "7"))).text()
        named = re.findall('<link rel="modulepreload" href="/web/([^"]+)">', text)
        assert [re.sub(r"\.[0-9a-f]{16}\.", ".", one) for one in named] == (
            [f"{current}/api/web/for_{script}.js"] if script else []
        ), path
        for one in named:
            response = await shared_api.client.get(f"/web/{one}")
            assert (response.status, response.content_type) == (200, "text/javascript")
            assert (await response.text()).count("export default") == 1


@SHARES_THE_API
async def test_a_later_script_is_served_to_pages_of_every_version_that_know_its_name_and_to_no_others(
    shared_api: Api,
) -> None:
    """The script of another version would be another one, and would be given what it does not know."""
    text = await (await shared_api.client.get("/login")).text()
    [name] = re.findall('<link rel="modulepreload" href="/web/[^/]+/([^"]+)">', text)
    response = await shared_api.client.get(f"/web/0123456789abcdef/{name}")
    assert (response.status, response.headers["Cache-Control"]) == (200, "no-cache")
    hashed = name.split(".")[1]
    await shared_api.call("GET", f"/web/0123456789abcdef/{name.replace(hashed, '0' * 16)}", 404)
    await shared_api.call("GET", f"/web/{await version(shared_api)}/{name.replace(f'.{hashed}', '')}", 404)


@SHARES_THE_API
async def test_the_first_script_leaves_out_what_a_visitor_never_needs(shared_api: Api) -> None:
    first = await (await shared_api.client.get(f"/web/{await version(shared_api)}/{SCRIPT}")).text()
    for words in ("class LongPoll", "class Messages ", "class EditListing ", "class Account ", "class Reports "):
        assert words not in first
    packed = gzip.compress(first.encode())
    assert len(packed) < 50_000, f"{len(packed)} bytes"


@SHARES_THE_API
async def test_the_manifest_lets_people_install_the_page(shared_api: Api) -> None:
    text = await (await shared_api.client.get("/")).text()
    found = re.search('<link rel="manifest" href="([^"]+)">', text)
    assert found is not None
    response = await shared_api.client.get(found[1])
    assert (response.status, response.content_type) == (200, "application/manifest+json")
    manifest = await response.json(content_type=None)
    assert (manifest["start_url"], manifest["scope"], manifest["display"]) == ("/", "/", "standalone")
    for icon in manifest["icons"]:
        # Its addresses are relative to its own.
        shown = await shared_api.client.get(found[1].rpartition("/")[0] + "/" + icon["src"])
        assert (shown.status, shown.content_type) == (200, icon["type"])
    assert {one["url"] for one in manifest["shortcuts"]} <= set(PAGES)


@SHARES_THE_API
async def test_rendered_pages_and_shells_are_compressed_for_clients_that_accept_it(shared_api: Api) -> None:
    plain = {"Accept-Encoding": "identity"}
    for path in ("/", "/login"):
        whole = await shared_api.client.get(path, headers=plain)
        assert "Content-Encoding" not in whole.headers
        for accepted in ("gzip", "br, gzip;q=0.5", "*", "identity;q=0.5, GZIP"):
            async with shared_api.client.session.get(
                shared_api.client.make_url(path), headers={"Accept-Encoding": accepted}, auto_decompress=False
            ) as packed:
                assert packed.headers["Content-Encoding"] == "gzip", accepted
                assert "Accept-Encoding" in packed.headers["Vary"]
                assert gzip.decompress(await packed.read()) == await whole.read()
                assert packed.headers["ETag"] == whole.headers["ETag"]
                known = {"If-None-Match": packed.headers["ETag"], "Accept-Encoding": accepted}
                assert (await shared_api.client.get(path, headers=known)).status == 304
        for accepted in ("", "br", "gzip;q=0", "gzip; q=0.00, *", "x-gzip"):
            response = await shared_api.client.get(path, headers={"Accept-Encoding": accepted})
            assert "Content-Encoding" not in response.headers, accepted


@SHARES_THE_API
async def test_files_are_compressed_for_clients_that_accept_it(shared_api: Api) -> None:
    address = f"/web/{await version(shared_api)}/api/web/vendor/phoenix/phoenix.mjs"
    plain = await shared_api.client.get(address, headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    async with shared_api.client.session.get(
        shared_api.client.make_url(address), headers={"Accept-Encoding": "gzip"}, auto_decompress=False
    ) as packed:
        assert packed.headers["Content-Encoding"] == "gzip"
        assert "Accept-Encoding" in packed.headers["Vary"]
        assert gzip.decompress(await packed.read()) == await plain.read()


@SHARES_THE_API
async def test_the_licences_of_the_libraries_are_served(shared_api: Api) -> None:
    for name in ("README.md", "lit-html/LICENSE", "phoenix/LICENSE.md"):
        response = await shared_api.client.get(f"/web/{await version(shared_api)}/api/web/vendor/{name}")
        assert (response.status, response.content_type) == (200, "text/plain")
        assert await response.read() == (VENDOR / name).read_bytes()


@SHARES_THE_API
@pytest.mark.parametrize(
    "path",
    [
        "nothing.js",
        "api/pages/templates/document.html",
        "api/web/../handlers/web.py",
        "api/web/..%2Fhandlers%2Fweb.py",
        "api/app.py",
        "%2e%2e/README.md",
        "api/web/package.json",
        "clients/javascript/private_chat/package.json",
        "api/web/views",
        "",
    ],
)
async def test_other_files_are_404(shared_api: Api, path: str) -> None:
    await shared_api.call("GET", f"/web/1/{path}", 404)


def test_the_vendored_files_equal_those_of_the_locked_packages() -> None:
    if not (PACKAGES / "phoenix").is_dir():
        pytest.skip("the npm packages are not there: `make test` installs them")
    wanted = contents()
    found = {str(path.relative_to(VENDOR)): path.read_bytes() for path in VENDOR.rglob("*") if path.is_file()}
    assert sorted(found) == sorted(wanted)
    assert [name for name in found if found[name] != wanted[name]] == [], "`make vendor` makes them anew"


def test_the_readme_names_the_locked_versions() -> None:
    lock = json.loads(LOCK.read_text(encoding="utf-8"))["packages"]
    rows = re.findall(r"^\| (\S+) \| ([0-9.]+) \|", (VENDOR / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name, _ in rows] == ["lit-html", "phoenix"]
    for name, number in rows:
        assert lock[f"node_modules/{name}"]["version"] == number


def test_every_import_names_an_existing_file() -> None:
    modules = [*own(".js"), *CLIENT.glob("*.js")]
    assert sum(len(imports(path)) for path in modules) > 50
    for path in modules:
        for imported in imports(path):
            assert imported.is_file(), f"{path.name} imports {imported}"
            assert imported.is_relative_to(FOLDER) or imported.is_relative_to(CLIENT), f"{imported} is not served"


def test_no_imports_form_a_circle() -> None:
    """With a circle of imports, the order of loading would depend on which module is imported first."""
    graph = {path: imports(path) for path in [*own(".js"), *CLIENT.glob("*.js")]}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(path.name for path in error.args[1]))


@SHARES_THE_API
async def test_the_page_serves_the_client_that_others_copy(shared_api: Api) -> None:
    names = [path.relative_to(CHECKOUT).as_posix() for path in CLIENT.glob("*.js")]
    assert len(names) > 5
    for name in names:
        response = await shared_api.client.get(f"/web/{await version(shared_api)}/{name}")
        assert (response.status, response.content_type) == (200, "text/javascript")
        assert await response.read() == (CHECKOUT / name).read_bytes()


def test_the_client_imports_only_files_of_its_own_folder() -> None:
    for path in CLIENT.glob("*.js"):
        assert {imported.parent for imported in imports(path)} <= {CLIENT}


@pytest.mark.parametrize(
    "word", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "unsafeHTML", "eval(", "style="]
)
def test_no_module_makes_html_from_text_or_inline_styles(word: str) -> None:
    assert [path.name for path in [*own(".js"), *own(".html")] if word in path.read_text(encoding="utf-8")] == []
