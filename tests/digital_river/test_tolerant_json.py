"""Unusual JSON is read, all other JSON as the standard library reads it, and the result is clean."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.digital_river.models.tolerant_json import MAX_DEPTH, clean, read_leniently, read_strictly

TEXTS = st.text(st.characters()) | st.sampled_from(
    ["\x00", "\ud83d", "a\x1bb", "\x9b", "\x7f", "1e999", "e400,"]
)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(tree=TREES, is_ascii=st.booleans())
def test_whatever_a_library_writes_is_read_back_clean(tree: Any, is_ascii: bool) -> None:
    body = json.dumps(tree, ensure_ascii=is_ascii).encode("utf-8", "replace" if not is_ascii else "strict")
    read = read_leniently(body)
    json.dumps(read).encode()
    assert "\x00" not in _all_text(read)
    assert not set(_all_text(read)) & set(map(chr, (*range(9), *range(0xD800, 0xE000), 0x1B, 0x7F, 0x9B)))
    if is_ascii:
        assert read == clean(tree)


def _all_text(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(map(_all_text, (*value, *value.values())))
    return "".join(map(_all_text, value)) if isinstance(value, list) else str(value)


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (rb'["\ud83d\ude00 \ud83d!"]', ["\U0001f600 \ufffd!"]),
        (rb'["\\u0000"]', ["\\u0000"]),
        (b'["line\\r\\nline\\ttab"]', ["line\r\nline\ttab"]),
        (b'["back\\b, form\\f"]', ["back\ufffd, form\ufffd"]),
        (b"[NaN, 1e999, -1E+400, 1e-999]", ["NaN", "1e999", "-1E+400", 0.0]),
        (b"[%s]" % (b"9" * 400 + b".5"), ["9" * 400 + ".5"]),
        (b'\xef\xbb\xbf{"\xff\x02": "\xc2\x9b\x7f"}', {"\ufffd\ufffd": "\ufffd\ufffd"}),
    ],
)
def test_odd_places_become_text_that_can_be_kept(body: bytes, read: Any) -> None:
    assert read_leniently(body) == read


@pytest.mark.parametrize("kind", ["[]", '{"a":}'])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 250, 990, 100_000])
def test_a_value_that_is_nested_too_deep_is_lost_alone(kind: str, depth: int) -> None:
    begin, end = kind[:-1] * depth, kind[-1] * depth
    inside = "1" if kind == '{"a":}' else ""
    tree = read_leniently(f'{{"a": [{begin}{inside}{end}], "b": ["]}}", 2]}}'.encode())
    assert tree["b"] == ["]}", 2]
    assert tree["a"] != [None]


@pytest.mark.proof
@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "body",
    [b"[" * 1_000_000, b"[" * 100_000 + b'"' + b'\\"' * 1_000_000, b"]" * 10, b"", b'{"a": 1', b"[1]]"],
)
def test_text_that_is_far_from_json_is_refused_soon(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_leniently(body)


@pytest.mark.parametrize(
    "text", ["NaN", "[Infinity]", '"\x01"', "[1,]", "[" * 10_000 + "]" * 10_000, "\ufeff"]
)
def test_the_strict_reader_takes_nothing_that_is_not_json(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_strictly(text)


def test_the_strict_reader_takes_all_that_is() -> None:
    odd = r'{"a": "\ud83d\u0000", "b": ' + "9" * 5000 + ', "c": 1e999}'
    assert read_strictly("\ufeff" + odd)["a"] == "\ud83d\x00"
