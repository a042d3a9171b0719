"""`make audit`: asks the registries whether a locked package has a known vulnerability.

Python's packages are asked for with pip-audit, npm's with `npm audit`. It ends with 1 if one is found. Where a registry
cannot be asked, one line says so, and that is no failure: the machine may have no way out.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
LOCKS = ("production", "run", "test", "node", "audit", "peers", "tracing")
NPM_FOLDERS = ("tests/end_to_end/js", "tests/bench/lighthouse")
"""The folders with a lock of npm's."""
SECONDS = 300.0


class NotAsked(Exception):
    """The registry did not answer. The message is the last line that the client wrote."""


def found_by_pip_audit(python: str, lock: Path) -> list[str]:
    """Returns a line for each vulnerability of a package in the lock. Raises NotAsked."""
    options = [
        "--requirement",
        str(lock),
        "--no-deps",
        "--disable-pip",
        "--format",
        "json",
        "--progress-spinner",
        "off",
    ]
    answer = _answer([python, "-m", "pip_audit", *options])
    return [
        f"{package['name']} {package['version']}: {fault['id']}, fixed in {', '.join(fault['fix_versions']) or 'none'}"
        for package in answer["dependencies"]
        for fault in package.get("vulns", ())
    ]


def found_by_npm(npm: Sequence[str], folder: Path) -> list[str]:
    """Returns a line for each npm package of the folder's lock that has a vulnerability. Raises NotAsked."""
    answer = _answer([*npm, "audit", "--json", "--prefix", str(folder)])
    if "vulnerabilities" not in answer:
        raise NotAsked(str(answer.get("message") or answer.get("error", {}).get("summary") or "no answer"))
    return [f"{name}: {fault['severity']}" for name, fault in answer["vulnerabilities"].items()]


def _answer(command: Sequence[str]) -> dict[str, Any]:
    try:
        done = subprocess.run(
            command,
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotAsked(f"no answer within {SECONDS:g} s") from None
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        # The clients end with 1 for both: a vulnerability, and no answer. Only an answer is JSON.
        raise NotAsked((done.stderr.strip() or "no answer").splitlines()[-1][:200]) from None
    return answer


def main(python: str) -> int:
    """Returns 1 if a vulnerability is known, else 0. `python` has pip-audit."""
    found: list[str] = []
    asked = []
    for lock in LOCKS:
        name = f"requirements/{lock}.lock"
        try:
            found += [f"{name}: {line}" for line in found_by_pip_audit(python, CHECKOUT / name)]
            asked.append(name)
        except NotAsked as reason:
            print(f"{name} was not audited: {reason}")
    npm = [sys.executable, "-m", "tests.support.node", "npm"]
    for folder in NPM_FOLDERS:
        try:
            found += [f"{folder}: {line}" for line in found_by_npm(npm, CHECKOUT / folder)]
            asked.append(folder)
        except NotAsked as reason:
            print(f"{folder} was not audited: {reason}")
    for line in found:
        print(line)
    print(f"Audited {len(asked)} locks; {len(found)} known vulnerabilities.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
