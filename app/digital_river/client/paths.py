"""Where a call goes, kept beside the name it has in logs and metrics."""

from dataclasses import dataclass
from urllib.parse import quote

from app.digital_river.client.errors import Missing


@dataclass(frozen=True)
class Path:
    """A path of the far side. `template` (`/orders/{id}`) may be logged, `text` holds identifiers."""

    template: str
    text: str


def path(template: str, **identifiers: str) -> Path:
    """The template with each identifier in it as exactly one path segment.

    Raises:
        Missing: an identifier that cannot be a segment, and therefore names nothing.
    """
    return Path(template, template.format_map({name: _segment(text) for name, text in identifiers.items()}))


def _segment(identifier: str) -> str:
    # "" and dots would address the collection or a parent: clients and proxies resolve them even when quoted.
    if identifier in {"", ".", ".."}:
        raise Missing
    try:
        return quote(identifier, safe="")
    except UnicodeEncodeError:
        raise Missing from None
