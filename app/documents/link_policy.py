"""Checks Digital River's links, because their URLs become our `href` and `Location`.

The policy refuses a link for the first of these reasons that holds:

anotherFile    it does not name this file
incomplete     it has no URL, or no expiry
length         its URL is too long
characters     its URL contains a character outside RFC 3986: a quotation mark would end an HTML attribute
scheme         its URL is not an absolute one of https (in development also of http)
credentials    its URL contains a user name or a password
host           its host is not on the list, or (except in development) its port is not 443
life           it has expired, expires within five minutes, or lives for more than 366 days

In Digital River's documentation (File links), every sample of a link names its file. So a link without
`fileId` is refused as `anotherFile`: nothing else shows which customer's document it opens.
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
# Digital River's longest sample lives for eleven weeks. One beyond a year is a mistake.
MAXIMUM_LIFETIME = timedelta(days=366)
MAXIMUM_URL_LENGTH = 2048

_CHARACTER = r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]"
_LOOPBACK = (r"(?:[a-z0-9-]+\.)*localhost", r"127(?:\.\d{1,3}){3}", r"\[::1\]")


class Link(NamedTuple):
    """A public link to a file. Every person who has its URL can open the document: it is a secret."""

    link_id: str
    url: str
    expires_at: datetime


class LinkPolicy:
    """Decides which links may be handed out, for one configuration."""

    def __init__(self, hosts: tuple[str, ...], digital_river_url: str, *, is_development: bool) -> None:
        host_patterns = [
            _host_pattern(host) for host in (*hosts, urlsplit(digital_river_url).hostname) if host
        ]
        host_patterns += _LOOPBACK if is_development else ()
        scheme = "https?" if is_development else "https"
        port = r":\d{1,5}" if is_development else ":443"
        # From general to specific. The last pattern decides alone; the others only name the reason.
        patterns: dict[RefusalReason, str] = {
            "length": rf"(?s:.{{1,{MAXIMUM_URL_LENGTH}}})",
            "characters": rf"{_CHARACTER}+",
            "scheme": rf"{scheme}://{_CHARACTER}+",
            "credentials": rf"{scheme}://[^@/?#]+(?:[/?#]{_CHARACTER}*)?",
            "host": rf"{scheme}://(?:{'|'.join(host_patterns)})(?:{port})?(?:[/?#]{_CHARACTER}*)?",
        }
        flags = re.ASCII | re.IGNORECASE
        self._patterns = {reason: re.compile(pattern, flags) for reason, pattern in patterns.items()}
        self._strictest = self._patterns["host"]

    def allows(self, url: str) -> bool:
        """Whether the URL may be handed out. Cheap, because a page has up to a hundred links."""
        return len(url) <= MAXIMUM_URL_LENGTH and self._strictest.fullmatch(url) is not None

    def check(self, file_link: FileLink, file_id: FileId, now: datetime) -> Link | RefusalReason:
        """The link if it may be handed out to the file's owner, else the reason for the refusal."""
        if file_link.file_id != file_id:
            return "anotherFile"
        if file_link.url is None or file_link.expires_time is None:
            return "incomplete"
        if not self.allows(file_link.url):
            return next(r for r, pattern in self._patterns.items() if not pattern.fullmatch(file_link.url))
        if file_link.expired or not now + MINIMUM_LIFETIME < file_link.expires_time <= now + MAXIMUM_LIFETIME:
            return "life"
        return Link(file_link.id, file_link.url, file_link.expires_time)


def policy_of(settings: Settings) -> LinkPolicy:
    """The policy for these settings."""
    is_development = settings.environment == "development"
    return _policy(settings.file_link_hosts, settings.digital_river_url, is_development)


@lru_cache(maxsize=16)
def _policy(hosts: tuple[str, ...], digital_river_url: str, is_development: bool) -> LinkPolicy:
    return LinkPolicy(hosts, digital_river_url, is_development=is_development)


def _host_pattern(host: str) -> str:
    """A regular expression. `*.example.com` matches all hosts below example.com, but not example.com."""
    name = re.escape(host.removeprefix("*."))
    if host.startswith("*."):
        return rf"(?:[a-z0-9-]+\.)+{name}"
    # `urlsplit().hostname` removes the brackets of an IPv6 address.
    return rf"\[{name}\]" if ":" in host else name
