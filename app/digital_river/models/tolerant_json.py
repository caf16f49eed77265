"""Parses JSON of Digital River: it loses only values that are invalid, and makes texts safe to store.

Legal JSON may contain a lone surrogate ("\\ud83d"), NUL, numbers of a thousand digits and very deep nesting.
Faulty writers add raw control characters, broken UTF-8, NaN and a byte order mark. None of these may prevent
the portal from reading the rest of an order or an event.
"""

import json
import math
import re
from typing import Any, Final

from pydantic_core import from_json

REPLACEMENT: Final = "\ufffd"
MAX_DEPTH = 100
MAX_DIGITS = 300
_BYTE_ORDER_MARK = "\ufeff"

# What PostgreSQL cannot store (NUL, lone surrogates), and control characters that change a terminal. Tab and
# line ends stay, because texts of several lines contain them (`SingleLine` is for texts that must not).
_UNCLEAN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")

# Signs of what the fast parser accepts and we would change: the characters above, escaped or not, and numbers
# that become infinite.
_SUSPECT_PATTERNS = (
    re.compile(rb"\\(?:[bf]|u00(?:[018-9]|7[fF]))"),
    re.compile(rb"\x7f"),
    re.compile(rb"\xc2[\x80-\x9f]"),
    re.compile(rb"e\+?[0-9]{3,}[,\]}\s]"),
    re.compile(rb"E\+?[0-9]{3,}[,\]}\s]"),
)
# A number of 309 digits is too large for a float. To look at every tenth byte is ten times faster.
_STRIDE = 10
_LONG_NUMBER = re.compile(rb"[0-9]{30}")
# An unterminated string is one token too: otherwise the search would start anew at each quote in it.
_TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)


def read_leniently(body: bytes) -> Any:
    """The JSON in a body, cleaned, also if parts of it are invalid.

    Unsafe characters become U+FFFD; NaN, infinities and numbers of more than MAX_DIGITS become text; values
    nested deeper than MAX_DEPTH become null.

    Raises:
        ValueError: the body is not JSON, even by these rules.
    """
    if not _is_suspect(body):
        try:
            # Several times faster than the parser of the standard library, and the result needs no cleaning.
            return from_json(body, allow_inf_nan=False)
        except ValueError:
            pass
    text = body.decode(errors="replace").removeprefix(_BYTE_ORDER_MARK)
    try:
        return clean(_loads(text))
    except RecursionError:
        return clean(_loads(_without_deep_values(text)))


def read_strictly(text: str) -> Any:
    """The JSON in a text, also with legal values that most parsers refuse. The result is not cleaned.

    Raises:
        ValueError: the text is not JSON, or nested too deep (RFC 8259 §9 allows a limit).
    """
    text = text.removeprefix(_BYTE_ORDER_MARK)  # RFC 8259 §8.1
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError:
        try:
            return json.loads(text, parse_int=_parse_int, parse_constant=_refuse_constant)
        except RecursionError as error:
            raise ValueError("nested too deep") from error


def clean(value: Any, depth: int = 0) -> Any:
    """The value with all texts and names in it cleaned."""
    match value:
        case str():
            return _UNCLEAN.sub(REPLACEMENT, value)
        case dict() | list() if depth >= MAX_DEPTH:
            return None
        case dict():
            return {clean(name): clean(item, depth + 1) for name, item in value.items()}
        case list():
            return [clean(item, depth + 1) for item in value]
        case _:
            return value


def _is_suspect(body: bytes) -> bool:
    return any(pattern.search(body) for pattern in _SUSPECT_PATTERNS) or bool(
        _LONG_NUMBER.search(body[::_STRIDE])
    )


def _loads(text: str) -> Any:
    return json.loads(text, strict=False, parse_int=_parse_int, parse_float=_parse_float, parse_constant=str)


def _parse_int(text: str) -> int | str:
    return int(text) if len(text) <= MAX_DIGITS else text


def _parse_float(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _without_deep_values(text: str) -> str:
    """The text with null in place of each value that is nested too deep. It works without recursion."""
    kept: list[str] = []
    depth, position = 0, 0
    for token in _TOKENS.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth == MAX_DEPTH + 1:
                kept += text[position : token.start()], "null"
        elif token[0] in "]}":
            if depth == MAX_DEPTH + 1:
                position = token.end()
            depth -= 1
    return "".join((*kept, text[position:])) if depth <= MAX_DEPTH else ""
