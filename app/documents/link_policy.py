"""Which links of Digital River's are believed: what it calls a link becomes our `href` and `Location`.

A link is refused for the first of these reasons that holds:

anotherFile    it does not say that it is a link to this file
incomplete     it has no URL, or no expiry
length         its URL is too long
characters     its URL holds what RFC 3986 has no place for: a quotation mark ends the attribute it stands in
scheme         its URL is not an absolute one of https (in development also of http)
credentials    its URL holds a name or a password
host           its URL leads to a host that is not on the list, or (not in development) to a port of its own
life           it is over, dies within five minutes, or claims to live for more than a year

Each printed sample of a link, new or listed, names its file (Digital River docs, File links). One without
`fileId` is therefore `anotherFile`: nothing else shows whose invoice it opens.
"""

import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from app.digital_river.models import FileLink
from app.ids import FileId
from app.settings import Settings

RefusalReason = Literal[
    "anotherFile", "incomplete", "length", "characters", "scheme", "credentials", "host", "life"
]

# A buyer who gets a link must have time to use it.
MINIMUM_LIFETIME = timedelta(minutes=5)
# The longest sample lives for eleven weeks. Beyond a year it is a mistake, and would never be renewed.
MAXIMUM_LIFETIME = timedelta(days=366)
MAXIMUM_URL_LENGTH = 2048

_CHARACTER = r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]"
_LOOPBACK = (r"(?:[a-z0-9-]+\.)*localhost", r"127(?:\.\d{1,3}){3}", r"\[::1\]")


class Link(NamedTuple):
    """A public link to a file. Its URL opens the document for whoever has it: it is a secret."""

    link_id: str
    url: str
    expires_at: datetime


class LinkPolicy:
    """What makes a link fit to be handed out, for one configuration."""

    def __init__(self, hosts: tuple[str, ...], far_side_url: str, *, is_development: bool) -> None:
        known = [_host_pattern(host) for host in (*hosts, urlsplit(far_side_url).hostname) if host]
        known += _LOOPBACK if is_development else ()
        scheme = "https?" if is_development else "https"
        port = r":\d{1,5}" if is_development else ":443"
        # From general to particular: the last one alone decides, those before it give the refusal a name.
        grammar: dict[RefusalReason, str] = {
            "length": rf"(?s:.{{1,{MAXIMUM_URL_LENGTH}}})",
            "characters": rf"{_CHARACTER}+",
            "scheme": rf"{scheme}://{_CHARACTER}+",
            "credentials": rf"{scheme}://[^@/?#]+(?:[/?#]{_CHARACTER}*)?",
            "host": rf"{scheme}://(?:{'|'.join(known)})(?:{port})?(?:[/?#]{_CHARACTER}*)?",
        }
        flags = re.ASCII | re.IGNORECASE
        self._grammar = {reason: re.compile(pattern, flags) for reason, pattern in grammar.items()}
        self._whole = self._grammar["host"]

    def allows(self, url: str) -> bool:
        """Whether a URL may be handed out; as cheap as a list of a hundred needs it."""
        return len(url) <= MAXIMUM_URL_LENGTH and self._whole.fullmatch(url) is not None

    def read(self, found: FileLink, file_id: FileId, now: datetime) -> Link | RefusalReason:
        """The link for the owner of the file, or why it is none."""
        if found.file_id != file_id:
            return "anotherFile"
        if found.url is None or found.expires_time is None:
            return "incomplete"
        for reason, pattern in self._grammar.items():
            if pattern.fullmatch(found.url) is None:
                return reason
        if found.expired or not now + MINIMUM_LIFETIME < found.expires_time <= now + MAXIMUM_LIFETIME:
            return "life"
        return Link(found.id, found.url, found.expires_time)


def policy_of(settings: Settings) -> LinkPolicy:
    """The policy that these settings make."""
    is_development = settings.environment == "development"
    return _policy(settings.file_link_hosts, settings.digital_river_url, is_development)


@lru_cache(maxsize=16)
def _policy(hosts: tuple[str, ...], far_side_url: str, is_development: bool) -> LinkPolicy:
    return LinkPolicy(hosts, far_side_url, is_development=is_development)


def _host_pattern(host: str) -> str:
    """`*.example.com` is any host below example.com, and not that one itself."""
    name = re.escape(host.removeprefix("*."))
    if host.startswith("*."):
        return rf"(?:[a-z0-9-]+\.)+{name}"
    # `hostname` takes an IPv6 address out of its brackets.
    return rf"\[{name}\]" if ":" in host else name
