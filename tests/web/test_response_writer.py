"""In which pieces a response leaves: its head with the start of its body, and never later than it must."""

import asyncio

from app.web.response_writer import ResponseWriter


class _Transport(asyncio.WriteTransport):
    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.closed_after: int | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent.append(bytes(data))

    def close(self) -> None:
        self.closed_after = len(self.sent)

    def is_closing(self) -> bool:
        return self.closed_after is not None


def _writer() -> tuple[ResponseWriter, _Transport]:
    transport = _Transport()
    return ResponseWriter(transport, asyncio.get_running_loop()), transport


async def test_head_and_body_of_one_turn_leave_together_and_the_rest_at_once() -> None:
    writer, transport = _writer()
    writer.write(b"head ")
    writer.write(b"body")
    assert transport.sent == [b"head body"]
    writer.write(b"more")
    await asyncio.sleep(0)
    assert transport.sent == [b"head body", b"more"]


async def test_the_head_does_not_wait_for_a_late_body() -> None:
    writer, transport = _writer()
    writer.write(b"head")
    await asyncio.sleep(0)
    assert transport.sent == [b"head"]
    writer.write(b"body")
    assert transport.sent == [b"head", b"body"]


async def test_an_empty_body_brings_the_head_along() -> None:
    writer, transport = _writer()
    writer.write(b"head")
    writer.write(b"")
    assert transport.sent == [b"head"]


async def test_what_is_held_leaves_before_the_end_of_the_connection() -> None:
    writer, transport = _writer()
    writer.write(b"head")
    writer.close()
    await asyncio.sleep(0)
    assert (transport.sent, transport.closed_after) == ([b"head"], 1)
    assert writer.is_closing()


async def test_nothing_is_written_to_a_connection_that_has_ended() -> None:
    writer, transport = _writer()
    writer.write(b"head")
    transport.close()
    await asyncio.sleep(0)
    assert transport.sent == []
