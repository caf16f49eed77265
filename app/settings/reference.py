"""Renders `docs/configuration.md` from the settings, so that the page is complete and correct."""

import json
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from app.settings.fields import SettingsFields, SettingsSection

_HEAD = """\
# Configuration

The portal reads its configuration from environment variables when a process starts. A process with missing,
malformed, contradictory or unsafe values does not start, and names each of them. A JSON list looks like
`["a", "b"]`.

This page is generated (`make docs`): change the descriptions in `app/settings/fields.py`.
"""


def render_reference() -> str:
    """The page as Markdown: one table for each section, one row for each setting."""
    sections = [base for base in SettingsFields.__bases__ if issubclass(base, SettingsSection)]
    return "\n".join([_HEAD, *map(_section, sections)])


def _section(section: type[SettingsSection]) -> str:
    heading, _, introduction = (section.__doc__ or "").partition(". ")
    rows = [
        f"| `PORTAL_{name.upper()}` | {_default(field)} | {_meaning(field)} |"
        for name, field in section.model_fields.items()
    ]
    table = ["| variable | default | meaning |", "| --- | --- | --- |", *rows]
    return "\n".join([f"## {heading.rstrip('.')}", "", introduction, "", *table, ""])


def _default(field: FieldInfo) -> str:
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value in (None, "", ()):
        return "none"
    if isinstance(value, Path):
        return f"`{value}`"
    return f"`{json.dumps(value)}`" if not isinstance(value, str) else f"`{value}`"


def _meaning(field: FieldInfo) -> str:
    limits = {
        name: getattr(limit, name)
        for limit in field.metadata
        for name in ("ge", "le")
        if hasattr(limit, name)
    }
    allowed = f" {limits['ge']} to {limits['le']}." if limits.keys() == {"ge", "le"} else ""
    return f"{field.description}{allowed}"
