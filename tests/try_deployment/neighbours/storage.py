"""`python -m tests.try_deployment.neighbours.storage` is an S3 server at port 9000 with one bucket.

At its start it copies the files of the folder `/volume/pictures` into the bucket. When it listens, it prints a line of
JSON.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

# The bucket is in the path of an address and not in its host. moto reads this when it is imported.
os.environ["S3_IGNORE_SUBDOMAIN_BUCKETNAME"] = "true"

from moto.server import ThreadedMotoServer

PORT = 9000
PATIENCE_SECONDS = 60.0
"""The server loads much code with its first request."""


def serve(bucket: str, prefix: str) -> None:
    server = ThreadedMotoServer(ip_address="0.0.0.0", port=PORT, verbose=False)
    server.start()
    here = f"http://127.0.0.1:{PORT}"
    _put(f"{here}/{bucket}", b"")
    folder = Path("/volume/pictures")
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in files:
        _put(f"{here}/{bucket}/{prefix}/{quote(str(path.relative_to(folder)))}", path.read_bytes())
    print(json.dumps({"listens": PORT, "copied": len(files)}), flush=True)
    threading.Event().wait()


def _put(url: str, data: bytes) -> None:
    # Otherwise urllib calls the bytes a form, and the server tries to read it.
    headers = {"Content-Type": "application/octet-stream"}
    urlopen(Request(url, data=data, headers=headers, method="PUT"), timeout=PATIENCE_SECONDS).close()


if __name__ == "__main__":
    serve(*sys.argv[1:])
