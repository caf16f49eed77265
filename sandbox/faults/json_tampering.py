"""The kinds of tampering with their variants, and those kinds that change single JSON members."""

import copy
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sandbox.state.clock import iso_time

TamperingKind = Literal[
    "unfiltered", "stranger", "misnamed", "hostile", "odd", "endless", "untimely", "misleading"
]
_LONG = 100_000
HOSTILE: Mapping[str, str] = {
    "script": "\"><script>alert('sandbox')</script>",
    "crlf": "\r\nSet-Cookie: sandbox=lied\r\n\r\n",
    "nul": "\x00",
    "surrogate": "cut \ud83d",
    "bidi": "\u202efdp.exe\u2066\u200f",
    "control": "\x1b[2J\x7f\u0085\u2028",
    "emoji": "\U0001f9fe",
    "long": "x" * _LONG,
}
_ODD: Mapping[str, object] = {
    "null": None,
    "text": "odd",
    "emptyText": "",
    "number": 7,
    "negative": -1,
    "fraction": 2.5,
    "huge": 10**40,
    "boolean": True,
    "list": [],
    "object": {},
}
_TIMESTAMPS: Mapping[str, object] = {
    "past": "2001-01-01T00:00:00Z",
    "yearOne": "0001-01-01T00:00:00Z",
    "beforeYearOne": "0001-01-01T00:00:00+14:00",
    "future": "9999-12-31T23:59:59Z",
    "senseless": "yesterday",
    "empty": "",
    "number": 1_617_803_233_000,
}
_URLS: Mapping[str, str] = {
    "foreign": "https://evil.invalid/invoice.pdf",
    "disguised": "https://api.digitalriver.com@evil.invalid/invoice.pdf",
    "javascript": "javascript:alert('sandbox')//",
    "data": "data:text/html,<script>alert('sandbox')</script>",
    "relative": "/links/somewhere",
    "hostOnly": "//evil.invalid/invoice.pdf",
    "empty": "",
}
# Appended to the right URL. `gone` makes it a URL that does not exist.
_URL_ENDINGS: Mapping[str, str] = {"gone": "-gone", **HOSTILE}
# Seconds from now until a link expires.
_LINK_LIFETIMES = {"expired": -60.0, "brief": 20.0}
# `Fault` describes them. A kind without variants always does the same.
TAMPERING_VARIANTS: Mapping[TamperingKind, Sequence[str]] = {
    "unfiltered": (),
    "stranger": ("open", "renamed", "nested"),
    "misnamed": (),
    "hostile": tuple(HOSTILE),
    "odd": (*_ODD, "textNumbers", "numericIds"),
    "endless": ("same", "empty", "cycle"),
    "untimely": tuple(_TIMESTAMPS),
    "misleading": (*_URLS, *_URL_ENDINGS, *_LINK_LIFETIMES),
}
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*")
_ID_MEMBER = re.compile(r"id|ids|.*Ids?")
_URL = re.compile(r"url|.*(Url|URL)")
# Members that programs compare. Hostile text goes into them only if `fields` names them.
_COMPARED = re.compile(
    r"id|ids|.*Ids?|type|types|state|.*State|purpose|currency|country|locale|flow|.*Type|.*[vV]ersion"
    r"|url|.*(Url|URL)"
)


@dataclass(frozen=True)
class Member:
    """One member of a JSON object, or one element of a list. Elements have the name of their list."""

    holder: Any
    key: str | int
    name: str

    @property
    def value(self) -> Any:
        return self.holder[self.key]

    def set(self, value: object) -> None:
        self.holder[self.key] = copy.deepcopy(value)


def members(value: object, name: str = "") -> Iterator[Member]:
    """Every member and element inside `value`, outer ones first."""
    pairs: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list):
        pairs = list(enumerate(value))
    for key, inner in pairs:
        label = key if isinstance(key, str) else name
        yield Member(value, key, label)
        yield from members(inner, label)


def is_id_member(name: str) -> bool:
    return _ID_MEMBER.fullmatch(name) is not None


def tamper_members(
    kind: TamperingKind,
    variant: str,
    answer: object,
    *,
    names: Sequence[str],
    rng: random.Random,
    now: datetime,
) -> None:
    """Change the members of `answer` in place. With `names`, only those members."""
    selected = [member for member in members(answer) if not names or member.name in names or "*" in names]
    match kind:
        case "hostile":
            _append_hostile_text(selected, HOSTILE[variant], is_targeted=bool(names))
        case "odd":
            _change_type(selected, variant, is_targeted=bool(names), rng=rng)
        case "untimely":
            for member in selected:
                if isinstance(member.value, str) and _TIMESTAMP.fullmatch(member.value):
                    member.set(_TIMESTAMPS[variant])
        case "misleading":
            _change_urls(selected, variant, now)
        case _:
            raise ValueError(f"{kind} does not change single members")


def _append_hostile_text(selected: list[Member], text: str, *, is_targeted: bool) -> None:
    for member in selected:
        value = member.value
        if isinstance(value, dict) and member.name == "metadata":
            value[text] = text
        is_free = (
            isinstance(value, str) and not _COMPARED.fullmatch(member.name) and not _TIMESTAMP.match(value)
        )
        if is_free or (is_targeted and isinstance(value, str)):
            member.set(value + text)


def _change_type(selected: list[Member], variant: str, *, is_targeted: bool, rng: random.Random) -> None:
    if variant == "textNumbers":
        for member in selected:
            if isinstance(member.value, int | float) and not isinstance(member.value, bool):
                member.set(str(member.value))
    elif variant == "numericIds":
        for member in selected:
            if is_id_member(member.name) and str(member.value).isdecimal():
                member.set(int(member.value))
    elif selected:
        for member in selected if is_targeted else [rng.choice(selected)]:
            member.set(_ODD[variant])


def _change_urls(selected: list[Member], variant: str, now: datetime) -> None:
    for member in selected:
        if variant in _LINK_LIFETIMES:
            if member.name == "expiresTime":
                member.set(iso_time(now + timedelta(seconds=_LINK_LIFETIMES[variant])))
        elif _URL.fullmatch(member.name) and isinstance(member.value, str):
            ending = _URL_ENDINGS.get(variant, "")
            member.set(_URLS.get(variant, f"{member.value}{ending}"))
