"""Style sheets that are joined say the same as before."""

from __future__ import annotations

from api.assets.files import FOLDER
from api.assets.style import joined


def test_imported_sheets_are_in_their_place_without_comments_and_blanks() -> None:
    sheets = {
        "main.css": '/* All. */\n@import "a.css";\n@import "b.css";\n',
        "a.css": 'p,\nq > a {\n  margin: 0 calc(100% + 1px); /* why */\n  font: 1em "A  B", serif;\n}\n',
        "b.css": "@media (width > 1px) {\n  p :hover {\n    color: red;\n  }\n}\n",
    }
    assert joined(sheets, "main.css") == (
        'p,q>a{margin: 0 calc(100% + 1px);font: 1em "A  B",serif}@media (width>1px){p :hover{color: red}}'
    )


def test_every_sheet_of_the_page_is_in_its_style() -> None:
    sheets = {path.name: path.read_text(encoding="utf-8") for path in (FOLDER / "styles").glob("*.css")}
    style = joined(sheets, "main.css")
    assert len(sheets) > 5
    assert "@import" not in style
    assert "</" not in style, "the style could end its element"
    assert style.count("{") == sum(sheet.count("{") for sheet in sheets.values())
