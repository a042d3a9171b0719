"""Modules that are joined into scripts run as they would by themselves."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from api.assets.files import CLIENT, FOLDER
from api.assets.files import LATER as LATER_MODULES
from api.assets.script import CannotJoin, joined
from tests.support.node import find_node

MODULES = {
    "main.js": """
        // The order of running is that of the imports.
        import "./first.js";
        import { add, Sum as Total } from "./lib/sum.js";
        import { again, second } from "./lib/index.js";
        import { text } from "./words.js"
        ran.push("main", add(1, 2), new Total().of([3, 4]), again(1), second, text("x"));
    """,
    "first.js": """ran.push("first");""",
    "words.js": """
        export const text = (word) => `${ word } // { "import": ${`a ${ word }`} }`
        const inner = /[}"'`]/
        export async function* unused() { yield inner }
        ran.push("words")
    """,
    "lib/index.js": """export { add as again } from "./sum.js"; export { second } from "./sum.js"; ran.push("index")""",
    "lib/sum.js": """
        import { ran as here } from "../run.js";
        export function add(a, b = 1) { return a + b }
        class Sum { of(numbers) { return numbers.reduce((a, b) => add(a, b), 0) } }
        const two = 2;
        export { Sum, two as second };
        here.push("sum");
    """,
    "run.js": """export const ran = globalThis.ran;""",
}
RAN = ["first", "sum", "index", "words", "main", 3, 7, 2, 2, 'x // { "import": a x }']


@pytest.mark.servers
def test_a_script_does_what_its_modules_do(tmp_path: Path) -> None:
    node = find_node()
    if node is None:
        pytest.skip("no Node on this machine: `make test` installs one")
    assert said_by(node.node, tmp_path, MODULES) == [RAN, RAN]


def said_by(node: Path, folder: Path, modules: Mapping[str, str], *, without: str = "") -> list[list[Any]]:
    """Run modules by themselves, and then as scripts. Returns what each left in `ran`, at the end of all that it waited
    for. The file of the later script whose name begins with `without` comes late."""
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    scripts = joined(modules, "main.js")
    said = []
    for name, files in (("apart", modules), ("joined", {"main.js": scripts.first, **scripts.later})):
        for path, source in files.items():
            (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
            late = name == "joined" and without and path.startswith(without)
            (folder / name / (f"{path}.late" if late else path)).write_text(source, encoding="utf-8")
        start = "globalThis.ran = []; globalThis.waited = []; await import('./main.js'); await Promise.all(waited);"
        (folder / name / "start.js").write_text(f"{start} console.log(JSON.stringify(ran));", encoding="utf-8")
        command: list[str | Path] = [node, folder / name / "start.js"]
        ended = subprocess.run(command, cwd=folder / name, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 0, ended.stderr
        said.append(json.loads(ended.stdout))
    return said


LATER = {
    "main.js": """
        import { again } from "./shared/both.js";
        import { ran } from "./shared/run.js";
        const first = () => import("./parts/first.js");
        const bring = async () => {
          const { First, again: same } = await first();
          ran.push(new First().name, same === again);
          const [{ second }, others] = await Promise.all([import("./parts/second.js"), first()]);
          ran.push(second(2), others.First === First, "import(1)");
        };
        ran.push("main");
        waited.push(bring());
    """,
    "parts/first.js": """
        import { ran } from "../shared/run.js";
        import { common } from "./common.js";
        export { again } from "../shared/both.js";
        export class First { name = `first ${common}`; }
        ran.push("first");
    """,
    "parts/second.js": """
        import { ran } from "../shared/run.js";
        import { common } from "./common.js";
        export const second = (number) => `${number} ${common}`;
        ran.push("second");
    """,
    "parts/common.js": """
        import { ran } from "../shared/run.js";
        export const common = "common";
        ran.push("common");
    """,
    "shared/both.js": """export const again = () => {};""",
    "shared/run.js": """export const ran = globalThis.ran;""",
}


@pytest.mark.servers
def test_what_is_imported_later_is_a_script_of_its_own_and_runs_each_module_once(tmp_path: Path) -> None:
    node = find_node()
    if node is None:
        pytest.skip("no Node on this machine: `make test` installs one")
    ran = ["main", "common", "first", "first common", True, "second", "2 common", True, "import(1)"]
    assert said_by(node.node, tmp_path, LATER) == [ran, ran]
    scripts = joined(LATER, "main.js")
    assert sorted(name.partition(".")[0] for name in scripts.later) == ["first", "second"]
    assert 'push("main")' in scripts.first
    assert not any('push("main")' in text or "import" in text for text in scripts.later.values())
    assert [part in scripts.first for part in ('push("first")', 'push("common")')] == [False, False]


@pytest.mark.servers
def test_a_later_script_that_could_not_be_loaded_can_be_asked_for_again(tmp_path: Path) -> None:
    node = find_node()
    if node is None:
        pytest.skip("no Node on this machine: `make test` installs one")
    modules = {
        "main.js": """
            import { appear } from "./appear.js";
            const bring = () => import("./late.js").then(({ late }) => ran.push(late), () => ran.push("not there"));
            waited.push(bring().then(appear).then(bring).then(bring));
        """,
        "late.js": """ran.push("runs"); export const late = "late";""",
        "appear.js": """
            export const appear = async () => {
              const { readdirSync, renameSync } = process.getBuiltinModule("node:fs");
              for (const name of readdirSync(".")) if (name.endsWith(".late")) renameSync(name, name.slice(0, -5));
            };
        """,
    }
    [apart, together] = said_by(node.node, tmp_path, modules, without="late.")
    assert apart == ["runs", "late", "late", "late"]
    assert together == ["not there", "runs", "late", "late"]


def test_a_later_script_has_another_name_as_soon_as_its_content_or_what_it_is_given_differs() -> None:
    def name(changed: Mapping[str, str]) -> str:
        return joined({**LATER, **changed}, "main.js").names["parts/first.js"]

    before = name({})
    assert name({"parts/second.js": "export const second = 1;"}) == before
    assert name({"main.js": LATER["main.js"] + "ran.push(1);"}) == before
    assert name({"parts/common.js": "export const common = 1;"}) != before
    # Another order of the first script's modules.
    assert name({"main.js": 'import "./shared/run.js";' + LATER["main.js"]}) != before


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ('import { a } from "./nothing.js";', "no module nothing.js"),
        ('import { b } from "./other.js";', "which does not export it"),
        ('import a from "./other.js";', "other things than names"),
        ('import * as a from "./other.js";', "other things than names"),
        ('import { a } from "library";', "not a relative path"),
        ("export let a = 1;", "not a function, a class or one constant"),
        ("export default 1;", "not a function, a class or one constant"),
        ("await import(`./other.js`);", "not a relative path"),
        ('await import("./oth" + "er.js");', "something else than the path"),
        ('await import("./nothing.js");', "no module nothing.js"),
        ('await import("./later.js");', "is not in the first script"),
        ('import { main } from "./circle.js"; export const main = 1;', "circle"),
    ],
)
def test_what_cannot_be_joined_is_named(source: str, why: str) -> None:
    others = {"other.js": "export const a = 1;", "circle.js": 'import { main } from "./main.js"; export { main };'}
    others["later.js"] = 'import("./other.js");'
    with pytest.raises(CannotJoin, match=why):
        joined({"main.js": source, **others}, "main.js")


def test_the_scripts_of_the_page_have_all_its_modules() -> None:
    paths = [path for folder in (FOLDER, CLIENT) for path in folder.rglob("*") if path.suffix in (".js", ".mjs")]
    root = FOLDER.parents[1]
    sources = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    scripts = joined(sources, "api/web/main.js")
    assert set(scripts.names) == set(LATER_MODULES.values())
    runs = re.findall(r"^const (m\d+)=", "".join((scripts.first, *scripts.later.values())), re.MULTILINE)
    # service_worker.js is no module of the page.
    assert len(set(runs)) == len(sources) - 1
