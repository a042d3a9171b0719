"""Runs the bare aiohttp servers that the benchmarks compare with."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterable

import uvloop
from aiohttp import web


async def serve(port: int, routes: Iterable[web.RouteDef]) -> None:
    """Serve these routes until the process ends."""
    app = web.Application()
    app.router.add_routes(routes)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await asyncio.Event().wait()


def main(*routes: web.RouteDef) -> None:
    """Serve these routes on the port of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port, routes))
