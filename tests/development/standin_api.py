"""The supervisor runs this as its API."""

from __future__ import annotations

import asyncio

from tests.development.standin import serve

if __name__ == "__main__":
    asyncio.run(serve("API_PORT"))
