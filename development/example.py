"""The example that `make run` prints and README.md shows: two people chat across two gateway nodes. Only text."""

from __future__ import annotations

INTRODUCTION = """\
Paste this into another terminal, in this folder: Bob listens on the second gateway,
and Ann, who is on the first, writes to him."""

SESSION = """\
register() { curl -s API/api/register -H 'Content-Type: application/json' \\
  -d '{"name": "'$1'", "email": "'$1-$(date +%s)'@example.com", "password": "correct horse battery"}'; }
field() { .venv/bin/python -c 'import functools, json, sys
print(functools.reduce(dict.get, sys.argv[1:], json.load(sys.stdin)))' "$@"; }

ann=$(register ann); ann_id=$(echo "$ann" | field user id); ann_token=$(echo "$ann" | field access_token)
bob=$(register bob); bob_id=$(echo "$bob" | field user id); bob_token=$(echo "$bob" | field access_token)

TOKEN=$bob_token .venv/bin/python -m gateway.client --url SECOND/socket/websocket --count 2 \\
  join "private_chat:$bob_id" &
sleep 2
TOKEN=$ann_token .venv/bin/python -m gateway.client --url FIRST/socket/websocket \\
  push "private_chat:$ann_id" send '{"to": "'$bob_id'", "message": "Is the Corolla still there?"}'
wait $!
"""


def session(api_url: str, first_gateway_url: str, second_gateway_url: str) -> str:
    """Returns the commands of the example, for bash, zsh or any POSIX shell."""
    text = SESSION.replace("SECOND", _socket(second_gateway_url)).replace("FIRST", _socket(first_gateway_url))
    return text.replace("API/", api_url + "/")


def _socket(url: str) -> str:
    return "ws" + url.removeprefix("http")
