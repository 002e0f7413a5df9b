"""Writes what documents can be generated: the settings' table and `.env.example`.

`python -m tools.docs` writes them; with `--check` it only says whether they are what they should be.
"""

import sys
from pathlib import Path
from typing import Final

from pydantic import ByteSize
from pydantic.fields import FieldInfo

from shared.aliases import ALIASES
from shared.config import Settings

_ROOT: Final = Path(__file__).parents[1]
_TABLE: Final = """# Settings

Every setting is an environment variable, or a line of `.env` beside the project; the environment
wins. Sizes are bytes or `8MiB`; durations say their unit. `./run` fills in what it embeds. Words such
as `debug`, `S3` or `rs256` are read in any case.

Two names of one setting that differ stop the start. Those that hosts, shells and the tools of AWS set by
themselves (`AWS_REGION`, `AWS_DEFAULT_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
`AWS_SESSION_TOKEN`) count where no other name is said, and the token only with their keys. This page is
generated from `shared/config.py` by `make docs`.

| setting | default | meaning |
| --- | --- | --- |
"""
_EXAMPLE: Final = """# Every setting with its default; copy to .env and uncomment what you change.
# Generated from shared/config.py by `make docs`.
"""


def main() -> None:
    pages = {_ROOT / "docs" / "settings.md": _table(), _ROOT / ".env.example": _example()}
    stale = [path for path, text in pages.items() if not _is(path, text)]
    if "--check" in sys.argv:
        sys.exit(f"not up to date: {', '.join(path.name for path in stale)}" if stale else 0)
    for path in stale:
        path.write_text(pages[path])


def _table() -> str:
    rows = (
        f"| `{name.upper()}` | {f'`{_default(field)}`' if _default(field) else ''} | {field.description}{_also(name)} |\n"
        for name, field in Settings.model_fields.items()
    )
    return _TABLE + "".join(rows)


def _example() -> str:
    rows = (
        f"\n# {field.description}\n# {name.upper()}={_default(field)}\n"
        for name, field in Settings.model_fields.items()
    )
    return _EXAMPLE + "".join(rows)


def _also(name: str) -> str:
    others = ALIASES.get(name.upper(), ())
    return f" Also read as {', '.join(f'`{other}`' for other in others)}." if others else ""


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is None:
        return ""
    if isinstance(value, ByteSize):
        return value.human_readable().replace(".0", "")
    if isinstance(value, list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    main()
