"""Reads the far side's JSON: what is odd in it costs the odd place alone, and no text in it can hurt later.

Legal JSON may hold half a character ("\\ud83d"), NUL, numbers of a thousand digits and lists in lists without
end. Machines that write JSON by hand add raw control characters, broken UTF-8, NaN and a byte order mark.
None of that may hide the order or the event that stands beside it.
"""

import json
import math
import re
from typing import Any, Final

from pydantic_core import from_json

REPLACEMENT: Final = "\ufffd"
MOST_DEPTH = 100
MOST_DIGITS = 300
_BYTE_ORDER_MARK = "\ufeff"

# What PostgreSQL cannot hold (NUL, halves of characters), and what a terminal obeys. Tab and line ends stay:
# texts of several lines have them (`Line` in the models is for those that must not).
_UNCLEAN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")

# What the fast reader takes and we would not keep: the characters above, escaped or not, and numbers that
# become infinite.
_SUSPECTS = (
    re.compile(rb"\\(?:[bf]|u00(?:[018-9]|7[fF]))"),
    re.compile(rb"\x7f"),
    re.compile(rb"\xc2[\x80-\x9f]"),
    re.compile(rb"e\+?[0-9]{3,}[,\]}\s]"),
    re.compile(rb"E\+?[0-9]{3,}[,\]}\s]"),
)
# 309 digits are more than a float can hold. To look at every tenth byte is ten times faster.
_STRIDE = 10
_LONG_NUMBER = re.compile(rb"[0-9]{30}")
# A text that never ends is one token too: otherwise each quotation mark in it would be tried anew.
_TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)


def read_leniently(body: bytes) -> Any:
    """The JSON in a body, however odd, and clean: what cannot be kept is U+FFFD, NaN and
    endless numbers are text, and what lies deeper than anything honest is null.

    Raises:
        ValueError: it is not even nearly JSON.
    """
    if not _is_suspect(body):
        try:
            # Several times faster than the standard library's reader, and cleaning is not needed then.
            return from_json(body, allow_inf_nan=False)
        except ValueError:
            pass
    text = body.decode(errors="replace").removeprefix(_BYTE_ORDER_MARK)
    try:
        return cleaned(_loads(text))
    except RecursionError:
        return cleaned(_loads(_without_depths(text)))


def read_strictly(text: str) -> Any:
    """The text as JSON, also where it holds what is legal and most readers refuse. Not cleaned.

    Raises:
        ValueError: it is not JSON, or nested deeper than anything honest (RFC 8259 §9 allows a limit).
    """
    text = text.removeprefix(_BYTE_ORDER_MARK)  # RFC 8259 §8.1
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError:
        try:
            return json.loads(text, parse_int=_whole, parse_constant=_refuse)
        except RecursionError as error:
            raise ValueError("nested too deep") from error


def cleaned(value: Any, depth: int = 0) -> Any:
    """The value with every text in it clean, names included."""
    match value:
        case str():
            return _UNCLEAN.sub(REPLACEMENT, value)
        case dict() | list() if depth >= MOST_DEPTH:
            return None
        case dict():
            return {cleaned(name): cleaned(item, depth + 1) for name, item in value.items()}
        case list():
            return [cleaned(item, depth + 1) for item in value]
        case _:
            return value


def _is_suspect(body: bytes) -> bool:
    return any(one.search(body) for one in _SUSPECTS) or bool(_LONG_NUMBER.search(body[::_STRIDE]))


def _loads(text: str) -> Any:
    return json.loads(text, strict=False, parse_int=_whole, parse_float=_fraction, parse_constant=str)


def _whole(text: str) -> int | str:
    return int(text) if len(text) <= MOST_DIGITS else text


def _fraction(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _without_depths(text: str) -> str:
    """The text with null in the place of everything that is nested too deep, found without recursion."""
    kept: list[str] = []
    depth, position = 0, 0
    for token in _TOKENS.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth == MOST_DEPTH + 1:
                kept += text[position : token.start()], "null"
        elif token[0] in "]}":
            if depth == MOST_DEPTH + 1:
                position = token.end()
            depth -= 1
    return "".join((*kept, text[position:])) if depth <= MOST_DEPTH else ""
