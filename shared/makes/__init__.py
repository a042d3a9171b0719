"""The makes and models that people call by several names, from `makes.tsv`; README.md says how to add one."""

from __future__ import annotations

from pathlib import Path

from shared.domain.car_names import CarNames, parsed

NAMES = CarNames(parsed((Path(__file__).parent / "makes.tsv").read_text(encoding="utf-8").splitlines()))
