"""`python -m tests.bench.page` measures how the page loads: bytes, round trips, times on a slow line, layout shifts,
and Lighthouse's scores, on a phone and a desktop.

The page is a list of cars with pictures, in production mode behind nginx with TLS and HTTP/2. Chromium itself makes the
line slow. Lighthouse's times are those of this machine: other work on it lowers the first score.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import aiohttp
from PIL import Image, ImageDraw
from playwright.async_api import Browser, CDPSession, Page, async_playwright

from shared.domain.users import Role
from shared.postgres import Database
from shared.repositories.users import UserRepository
from shared.settings import Settings
from tests.bench.compiler import CannotBench
from tests.bench.settings import measured
from tests.bench.table import Row
from tests.deployment.nginx import find_nginx, running_nginx
from tests.end_to_end.browser.chromium import FLAGS, find_chromium
from tests.support.client import PASSWORD, Person, Rest
from tests.support.node import find_node
from tests.support.processes import Processes
from tests.support.servers import Servers, running_servers

CARS = 30
LIGHTHOUSE = Path(__file__).parent / "lighthouse" / "node_modules" / "lighthouse"
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
LEAST_SCORE = 95
MOST_BYTES = 100_000
MOST_SECONDS = 2.5
FAST_3G = {"offline": False, "latency": 562.5, "downloadThroughput": 1.4e6 / 8, "uploadThroughput": 675e3 / 8}
"""What Chromium's tools call Fast 3G, as figures for a request's delay in milliseconds and bytes a second."""
SCREENS: Mapping[str, dict[str, Any]] = {
    "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True},
    "desktop": {"viewport": {"width": 1350, "height": 940}},
}
WATCH = """
    window.seen = { shift: 0, car: null };
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.seen.shift += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
    const look = (now) => {
        const car = document.querySelector(".card h2 a")?.getBoundingClientRect();
        if (car && car.top < innerHeight && car.height > 0) window.seen.car = now;
        else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
"""


@dataclass(frozen=True, slots=True)
class Loaded:
    """One load of the page, from an empty cache."""

    requests: int
    before_pictures: int
    """Bytes over the wire, heads included, of all that is no picture."""
    pictures: int
    blocking: int
    """The files, besides the document, without which nothing is shown."""
    first_car: float
    """Seconds until the first car can be read; until anything can, on a page without cars."""
    shift: float
    """The sum of all layout shifts."""
    protocol: str


async def load(browser: Browser, url: str, screen: str, line: Mapping[str, Any] | None = None) -> Loaded:
    context = await browser.new_context(ignore_https_errors=True, **SCREENS[screen])
    try:
        page = await context.new_page()
        session = await context.new_cdp_session(page)
        await session.send("Network.enable")
        if line is not None:
            await session.send("Network.emulateNetworkConditions", dict(line))
        sizes = _noted(session)
        await page.add_init_script(WATCH)
        await page.goto(url, wait_until="networkidle")
        return await _read(page, sizes)
    finally:
        await context.close()


def _noted(session: CDPSession) -> dict[str, tuple[str, int]]:
    """Returns the type and bytes of each request, which come in as the page loads."""
    sizes: dict[str, tuple[str, int]] = {}
    kinds: dict[str, str] = {}
    session.on("Network.responseReceived", lambda event: kinds.update({event["requestId"]: event["type"]}))

    def on_end(event: dict[str, Any]) -> None:
        number = event["requestId"]
        sizes[number] = (kinds.get(number, ""), int(event["encodedDataLength"]))

    session.on("Network.loadingFinished", on_end)
    return sizes


async def _read(page: Page, sizes: Mapping[str, tuple[str, int]]) -> Loaded:
    seen = await page.evaluate(
        """() => ({
            ...window.seen,
            paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
            blocking: performance.getEntriesByType("resource").filter((one) => one.renderBlockingStatus === "blocking")
                .length,
            protocol: performance.getEntriesByType("navigation")[0].nextHopProtocol,
        })"""
    )
    return Loaded(
        requests=len(sizes),
        before_pictures=sum(size for kind, size in sizes.values() if kind != "Image"),
        pictures=sum(size for kind, size in sizes.values() if kind == "Image"),
        blocking=seen["blocking"],
        first_car=max(seen["paint"], seen["car"] or 0) / 1000,
        shift=seen["shift"],
        protocol=seen["protocol"],
    )


async def lighthouse(browser: str, url: str, screen: str) -> dict[str, float]:
    """Returns the scores by category, of 100, and the milliseconds of the first and of the largest paint."""
    node = find_node()
    if node is None or not LIGHTHOUSE.is_dir():
        raise CannotBench("Lighthouse is not installed: `make bench` does that")
    command = [str(node.node), str(LIGHTHOUSE / "cli" / "index.js"), url, "--quiet", "--output=json"]
    command += [f"--only-categories={','.join(CATEGORIES)}"]
    command += [f"--chrome-flags={' '.join(['--headless=new', '--ignore-certificate-errors', *FLAGS])}"]
    command += ["--preset=desktop"] if screen == "desktop" else []
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "CHROME_PATH": browser},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    if process.returncode:
        raise CannotBench(f"Lighthouse ended with {process.returncode}: {errors.decode()[-500:]}")
    told = json.loads(output)
    if keep := os.environ.get("LIGHTHOUSE_REPORTS"):
        name = f"{url.rpartition('/')[2] or 'list'}-{screen}.json"
        (Path(keep) / name).write_bytes(output)
    scores = {name: round(100 * (told["categories"][name]["score"] or 0)) for name in CATEGORIES}
    times = ("first-contentful-paint", "largest-contentful-paint", "total-blocking-time", "cumulative-layout-shift")
    return {**scores, **{name: told["audits"][name]["numericValue"] for name in times}}


@asynccontextmanager
async def site(servers: Servers, directory: Path) -> AsyncIterator[tuple[str, int]]:
    """The page with some cars behind nginx. Yields its address, and the id of a car."""
    program = find_nginx()
    if program is None:
        raise CannotBench("there is no nginx")
    with ExitStack() as stack:
        database_url, redis_url = stack.enter_context(servers.database()), stack.enter_context(servers.empty_redis())
        proxies = (ip_network("127.0.0.1/32"),)
        settings = replace(measured(database_url, redis_url, directory), trusted_proxies=proxies)
        processes = Processes(settings, directory, nursery=None)
        try:
            gateway, api = await processes.gateway(), await processes.api()
            car = await _cars(settings, api.url)
            ports = {f"gateway-{number}:4000": gateway.port for number in (1, 2)}
            ports |= {f"api-{number}:4001": api.port for number in (1, 2)}
            async with running_nginx(program, ports, with_tls=True) as nginx:
                yield f"https://127.0.0.1:{nginx.port}", car
        finally:
            await processes.stop()


async def _cars(settings: Settings, url: str) -> int:
    """Make cars, each with a picture of the usual size. Returns the last one's id."""
    async with Rest(url) as rest, aiohttp.ClientSession() as client:
        seller, moderator = await rest.register("Ann"), await rest.register("Mona")
        database = Database(settings)
        try:
            await UserRepository(database).set_role(moderator.id, Role.MODERATOR, by=None)
        finally:
            await database.close()
        told = await rest.call("POST", "/api/login", 200, body={"email": moderator.email, "password": PASSWORD})
        moderator = replace(moderator, token=told["access_token"])
        body = {"name": "Sedans", "visibility": "public"}
        category = (await rest.call("POST", "/api/categories", 201, who=moderator, body=body))["id"]
        photos = [_photo(number) for number in range(5)]
        for number in range(CARS):
            car = {
                "title": f"{1995 + number} Volkswagen Golf, one owner",
                "content": "Runs and drives as it should. New tyres, timing belt done, no rust. " * 12,
                "category_id": category,
                "make": "Volkswagen",
                "model": "Golf",
                "year": 1995 + number,
                "price": 1500 + 700 * number,
                "mileage": 200_000 - 5000 * number,
                "location": "Austin, TX",
            }
            made = await rest.call("POST", "/api/listings", 201, who=seller, body=car)
            for shot in range(1 if number < CARS - 1 else 5):
                await _picture(client, url, seller, made["id"], photos[(number + shot) % len(photos)])
        return int(made["id"])


async def _picture(client: aiohttp.ClientSession, url: str, seller: Person, car: int, photo: bytes) -> None:
    form = aiohttp.FormData()
    form.add_field("picture", photo, filename="car.jpg", content_type="image/jpeg")
    headers = {"Authorization": f"Bearer {seller.token}"}
    async with client.post(f"{url}/api/listings/{car}/pictures", data=form, headers=headers) as response:
        assert response.status == 201, await response.text()


def _photo(number: int) -> bytes:
    """A picture with as many details as a photo has: its file takes about as many bytes."""
    width, height = 2048, 1536
    noise = Image.effect_noise((width // 2, height // 2), 40).resize((width, height)).convert("RGB")
    sky = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    picture = Image.blend(sky, noise, 0.35)
    draw = ImageDraw.Draw(picture)
    colour = (40 + 37 * number % 200, 40 + 71 * number % 200, 40 + 113 * number % 200)
    draw.rounded_rectangle((300, 700, 1750, 1150), 120, fill=colour)
    draw.rounded_rectangle((600, 480, 1400, 760), 140, fill=colour)
    for x in (520, 1300):
        draw.ellipse((x, 1020, x + 260, 1280), fill=(20, 20, 20))
    output = BytesIO()
    picture.save(output, "JPEG", quality=88)
    return output.getvalue()


def _goal(is_met: bool, words: str) -> str:
    return f"goal: {words}, {'met' if is_met else 'MISSED'}"


async def run(servers: Servers, directory: Path, *, with_lighthouse: bool) -> AsyncIterator[Row]:
    program = find_chromium()
    if program is None:
        raise CannotBench("there is no Chromium")
    async with site(servers, directory) as (url, car), async_playwright() as playwright:
        # On Linux and Windows, scrollbars take room. Playwright hides them if it is not told otherwise.
        browser = await playwright.chromium.launch(
            executable_path=program, args=FLAGS, ignore_default_args=["--hide-scrollbars"]
        )
        for screen in SCREENS:
            for path, name in (("/", "list"), (f"/listings/{car}", "car"), ("/login", "login")):
                if name == "list":
                    slow = await load(browser, url + path, screen, FAST_3G)
                    yield Row(
                        what=f"first car readable on Fast 3G, {screen}",
                        value=f"{slow.first_car:.2f} s",
                        compared=_goal(slow.first_car <= MOST_SECONDS, f"at most {MOST_SECONDS} s"),
                    )
                    yield Row(
                        what=f"files besides the document before it, {screen}",
                        value=f"{slow.blocking}",
                        compared=_goal(slow.blocking == 0, "none"),
                    )
                one = await load(browser, url + path, screen)
                yield Row(
                    what=f"{name}, {screen}: bytes before pictures",
                    value=f"{one.before_pictures / 1000:.1f} KB",
                    compared=_goal(one.before_pictures <= MOST_BYTES, f"at most {MOST_BYTES // 1000} KB")
                    + f"; {one.requests} requests by {one.protocol}, pictures {one.pictures / 1000:.0f} KB",
                )
                yield Row(
                    what=f"{name}, {screen}: layout shift",
                    value=f"{one.shift:.4f}",
                    compared=_goal(one.shift == 0, "0"),
                )
        await browser.close()
        if not with_lighthouse:
            return
        for path, name in (("/", "list"), (f"/listings/{car}", "car"), ("/login", "login")):
            for screen in SCREENS:
                told = await lighthouse(program, url + path, screen)
                scores = [told[category] for category in CATEGORIES]
                yield Row(
                    what=f"Lighthouse, {name}, {screen}: {', '.join(CATEGORIES)}",
                    value=" ".join(f"{score:.0f}" for score in scores),
                    compared=_goal(min(scores) >= LEAST_SCORE, f"each at least {LEAST_SCORE}")
                    + f"; first paint {told['first-contentful-paint'] / 1000:.2f} s, "
                    + f"largest {told['largest-contentful-paint'] / 1000:.2f} s",
                )


async def main(given: argparse.Namespace, servers: Servers) -> None:
    directory = Path(tempfile.mkdtemp(prefix="daveslist-bench-"))
    try:
        async for row in run(servers, directory, with_lighthouse=not given.no_lighthouse):
            print(row, flush=True)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.page", description="Measures how the page loads.")
    parser.add_argument("--no-lighthouse", action="store_true", help="only the bytes, times and shifts")
    arguments = parser.parse_args()
    try:
        with running_servers() as running:
            asyncio.run(main(arguments, running))
    except CannotBench as failure:
        print(f"python -m tests.bench.page: {failure}", file=sys.stderr)
        raise SystemExit(1) from None
