"""`python -m shared.healthcheck PORT` asks the process on that port of this machine if it is ready. For containers."""

from __future__ import annotations

import http.client
import sys

SECONDS = 4.0


def main(arguments: list[str]) -> int:
    """Returns 0 if the process is ready, else 1. Prints its answer or one line with the reason."""
    connection = http.client.HTTPConnection("127.0.0.1", int(arguments[0]), timeout=SECONDS)
    try:
        connection.request("GET", "/health/ready")
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        print(f"no answer: {error}")
        return 1
    finally:
        connection.close()
    print(text)
    return 0 if response.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
