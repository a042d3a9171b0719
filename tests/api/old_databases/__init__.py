"""The schemas of earlier versions, without their comments, and rows in them.

`before_alerts.sql` is the one before there were facts of cars, saved searches and alerts; `before_mail.sql` is the last
one before mails, second factors and push messages.
"""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent
_FILES = {
    "before_alerts": ("before_alerts.sql", "rows.sql"),
    "before_mail": ("before_mail.sql", "rows.sql", "later_rows.sql"),
}
VERSIONS = tuple(_FILES)


def old_database(version: str) -> str:
    """Returns the SQL that makes a database of this version, with rows of every kind."""
    return "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in _FILES[version])
