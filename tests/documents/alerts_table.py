"""Makes the table of alerts in the operating guide from deploy/prometheus/alerts.yml.

python -m tests.documents.alerts_table    writes it into docs/operating.md
"""

from __future__ import annotations

from typing import Any

import yaml

from tests.documents.guide import CHECKOUT, write

RULES = CHECKOUT / "deploy" / "prometheus" / "alerts.yml"
UNITS = {"s": "second", "m": "minute", "h": "hour"}


def rules() -> list[dict[str, Any]]:
    """The rules of the file, in its order."""
    [group] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def table() -> str:
    rows = ["| alert | condition | what it means, and what to do |", "|---|---|---|"]
    for rule in rules():
        said = rule["annotations"]
        rows.append(f"| {said['summary']} (`{rule['alert']}`) | {_condition(rule)} | {said['description']} |")
    return "\n".join(rows) + "\n"


def _condition(rule: dict[str, Any]) -> str:
    condition: str = "`" + rule["expr"].replace("|", "\\|") + "`"
    if "for" in rule:
        number, unit = int(rule["for"][:-1]), UNITS[rule["for"][-1]]
        condition += f" for {number} {unit}{'' if number == 1 else 's'}"
    return condition


if __name__ == "__main__":
    write("alerts", table())
