"""Reads a 2xx: to an end that is near, and into the model that was promised."""

from collections.abc import AsyncIterator
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from app.digital_river.errors import Garbled

MOST_MISFITS = 5

ModelT = TypeVar("ModelT", bound=BaseModel)


async def read_whole(chunks: AsyncIterator[bytes], most: int) -> bytes:
    """All of it.

    Raises:
        Garbled: it is longer than `most` bytes.
    """
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > most:
            raise Garbled("the answer is too large")
    return bytes(body)


def parse(body: bytes, model: type[ModelT]) -> ModelT:
    """The model in a JSON body.

    Raises:
        Garbled: it is not there; the text says where and how it does not fit, without the values.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)[:MOST_MISFITS]
        misfits = (f"{'.'.join(map(str, problem['loc']))} {problem['type']}" for problem in problems)
        raise Garbled(f"the answer is no {model.__name__}: {', '.join(misfits)}") from None
