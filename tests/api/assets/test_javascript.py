"""Modules without their comments and blanks are the same programs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from api.assets.files import CLIENT, FOLDER
from api.assets.javascript import tokens, written
from tests.support.node import find_node
from tests.support.vendored import PACKAGES


@pytest.mark.parametrize(
    ("source", "short"),
    [
        ("const a = 1; // one\nconst b = 2;", "const a=1;const b=2;"),
        ("let a = 1\nlet b = 2", "let a=1\nlet b=2"),
        ("/* a */ f(/* b */ 1,\n  2,\n)\n.then(g)", "f(1,2,).then(g)"),
        ("return\nvalue", "return\nvalue"),
        ("a = b\n(c)", "a=b\n(c)"),
        ("i++\nj", "i++\nj"),
        ("a\n++b", "a\n++b"),
        ("a + ++b - -c", "a+ ++b- -c"),
        ("x = 1 .toFixed()", "x=1 .toFixed()"),
        ("get #value() { return this.#value; }", "get #value(){return this.#value;}"),
        ("s = 'it\\'s // no comment'", "s='it\\'s // no comment'"),
        ("r = /[/\"'`]\\/ /g.test(s) / 2", "r=/[/\"'`]\\/ /g.test(s)/2"),
        ("a = b / c / d", "a=b/c/d"),
        ("x = (a) / b; y = `1` / 2", "x=(a)/b;y=`1`/2"),
        (
            's.replace(/["}]/, `a  ${ f({ b: `c  ${ d }` }) }  // e`)',
            's.replace(/["}]/,`a  ${f({b:`c  ${d}`})}  // e`)',
        ),
        ("`a \\` \\${ b } $ ${ c }`", "`a \\` \\${ b } $ ${c}`"),
        ("case /a b/: x", "case/a b/:x"),
        ("`${ /a b/ }`", "`${/a b/}`"),
        ("html`<p>\n    ${ a }\n  <b>`", "html`<p>\n${a}\n<b>`"),
        ("svg`\n  ${ f(`\n  ${ b }`) }\n  `; c = `\n  `", "svg`\n${f(`\n  ${b}`)}\n`;c=`\n  `"),
        ("", ""),
    ],
)
def test_what_says_nothing_goes_and_all_else_stays(source: str, short: str) -> None:
    assert written(tokens(source)) == short
    assert written(tokens(short)) == short


@pytest.mark.parametrize("source", ["'open\nx", "`open", "`${", "/open", "}", "\\", "é = ü"])
def test_what_is_no_javascript_still_comes_to_an_end(source: str) -> None:
    assert "".join(token.text for token in tokens(source)).split() == source.split() or written(tokens(source))


@pytest.mark.servers
def test_every_module_is_the_same_program_without_comments_and_blanks(tmp_path: Path) -> None:
    """acorn reads both, and says the same of them but for the positions."""
    node = find_node()
    if node is None or not (PACKAGES / "acorn").is_dir():
        pytest.skip("no Node with the npm packages: `make test` installs them")
    paths = [path for folder in (FOLDER, CLIENT) for path in folder.rglob("*") if path.suffix in (".js", ".mjs")]
    assert len(paths) > 50
    sources = [(path.name, path.read_text(encoding="utf-8")) for path in paths]
    pairs = [(name, source, written(tokens(source))) for name, source in sources]
    assert sum(len(short) for *_, short in pairs) < 0.9 * sum(len(source) for _, source, _ in pairs)
    (tmp_path / "pairs.json").write_text(json.dumps(pairs), encoding="utf-8")
    command = [node.node, Path(__file__).parent / "same_programs.mjs", tmp_path / "pairs.json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
