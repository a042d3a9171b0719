"""The page that shows the OpenAPI document and sends requests: one HTML file with its style and script inside.

Its content security policy admits only these two, by their hashes, and requests to the same host.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent
_STYLE = (_FOLDER / "page.css").read_text(encoding="utf-8")
_SCRIPT = (_FOLDER / "page.js").read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        f"style-src {_hash(_STYLE)}",
        f"script-src {_hash(_SCRIPT)}",
        "connect-src 'self'",
        "img-src blob: data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)


@cache
def page() -> bytes:
    """Returns the page as HTML in UTF-8."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Daveslist API</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>Daveslist API</h1>
<p><a href="/api/openapi.json">openapi.json</a></p>
<label>Access token <input id="token" type="password" autocomplete="off" spellcheck="false"></label>
<p class="hint">Register or log in below: the page then uses the token of the answer.</p>
</header>
<section id="about" aria-label="About"></section>
<main id="operations"><p>Loading&hellip;</p></main>
<noscript><p>This page needs JavaScript; the document itself is at <a href="/api/openapi.json">openapi.json</a>.</p>
</noscript>
<script>{_SCRIPT}</script>
</body>
</html>
""".encode()
