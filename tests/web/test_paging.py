"""A cursor is read back as it was written or refused, and never causes a 500."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.paging import decode_cursor, encode_cursor
from app.web.problems import Invalid
from tests.web.small_app import Position

SORT_KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
POSITIONS = st.builds(Position, after=SORT_KEYS, number=st.integers(0, 2**40))


def coded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@given(POSITIONS)
def test_a_cursor_comes_back_as_it_went_out(position: Position) -> None:
    text = encode_cursor(position)
    assert decode_cursor(text, Position) == position
    assert text.isascii()
    assert not set(text) & set("+/=&?%# ")


@given(st.one_of(st.text(), st.binary().map(coded), st.text(alphabet="ABCDab0123-_=")))
def test_any_other_text_is_refused_with_its_parameter(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        decode_cursor(text, Position)
    assert [error.pointer for error in refused.value.errors] == ["/query/cursor"]


@given(POSITIONS, st.data())
def test_a_tampered_cursor_is_refused_or_means_another_position(
    position: Position, data: st.DataObject
) -> None:
    text = encode_cursor(position)
    place = data.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + data.draw(st.characters(codec="ascii")) + text[place + 1 :]
    try:
        assert (decode_cursor(changed, Position) == position) == (changed == text)
    except Invalid:
        assert changed != text


@pytest.mark.parametrize(
    "raw",
    [
        b'{"after":"x","number":"1"}',
        b'{"after":"x","number":1,"more":1}',
        b'{"after":"x"}',
        b'{"after": "x","number":1}',
        b'{"after":"\\u0000","number":1}',
        b'{"after":"' + b"x" * 1024 + b'","number":1}',
        b"[" * 500,
        b"null",
    ],
)
def test_json_that_was_never_given_out_is_refused(raw: bytes) -> None:
    with pytest.raises(Invalid):
        decode_cursor(coded(raw), Position)
