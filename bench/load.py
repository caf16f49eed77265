"""Sends load over plain sockets, which cost so little that the measurement is about the server."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """The responses: the count of each status, each latency and the total duration, in seconds."""

    seconds: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """The latency that this share of the answers did not exceed."""
        return sorted(self.latencies)[min(len(self.latencies) - 1, int(len(self.latencies) * share))]


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """The bytes of one request on a connection that stays open."""
    lines = [f"{method} {path} HTTP/1.1", "Host: portal", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def send_at_full_speed(port: int, requests: Sequence[bytes], clients: int) -> Outcome:
    """Send all requests over `clients` connections, each request right after the response before it."""
    outcome = Outcome()
    queue = iter(requests)
    started = time.perf_counter()
    await asyncio.gather(*(_client(port, queue, outcome) for _ in range(clients)))
    outcome.seconds = time.perf_counter() - started
    return outcome


async def send_at_rate(port: int, requests: Sequence[bytes], per_second: float, clients: int) -> Outcome:
    """Send the requests at a fixed rate, also if responses are late. The wait for a connection counts."""
    outcome = Outcome()
    due: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue()
    started = time.perf_counter()
    senders = [asyncio.create_task(_scheduled_client(port, due, outcome)) for _ in range(clients)]
    for number, message in enumerate(requests):
        moment = started + number / per_second
        await asyncio.sleep(max(0.0, moment - time.perf_counter()))
        due.put_nowait((moment, message))
    for _ in senders:
        due.put_nowait(None)
    await asyncio.gather(*senders)
    outcome.seconds = time.perf_counter() - started
    return outcome


async def _client(port: int, queue: Iterator[bytes], outcome: Outcome) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for message in queue:
        await _exchange(reader, writer, message, time.perf_counter(), outcome)
    writer.close()
    await writer.wait_closed()


async def _scheduled_client(
    port: int, due: asyncio.Queue[tuple[float, bytes] | None], outcome: Outcome
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (item := await due.get()) is not None:
        moment, message = item
        await _exchange(reader, writer, message, moment, outcome)
    writer.close()
    await writer.wait_closed()


async def _exchange(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    message: bytes,
    since: float,
    outcome: Outcome,
) -> None:
    writer.write(message)
    head = await reader.readuntil(b"\r\n\r\n")
    lowered = head.lower()
    start = lowered.index(b"content-length: ") + 16
    await reader.readexactly(int(lowered[start : lowered.index(b"\r\n", start)]))
    outcome.latencies.append(time.perf_counter() - since)
    status = int(head[9:12])
    outcome.statuses[status] = outcome.statuses.get(status, 0) + 1
