"""Sends load from a process of its own, so that nothing else which the benchmark does delays a request.

The generator is one loop around select(2): its time-outs are exact to microseconds (those of epoll and of
asyncio only to a millisecond), and it costs a fraction of what the servers cost. Garbage collection is off.
"""

import gc
import multiprocessing
import select
import socket
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.figures import percentile

# The longest silence of a server: its calls to Digital River may take ten seconds.
SILENCE_SECONDS = 30.0
# Of requests whose connection the server ended without an answer.
BROKEN = 0


@dataclass(frozen=True)
class Job:
    """Requests to one port of this machine, over this many connections.

    Without `per_second`, each request follows the answer before it on its connection. With it, each request
    is due at a fixed moment. If no connection is free then, it waits, and its latency includes the wait.
    """

    port: int
    requests: Sequence[bytes]
    connections: int
    per_second: float | None = None


@dataclass
class Outcome:
    """How a job went, in seconds. `delays`: how long after its moment the generator noticed a due request."""

    seconds: float = 0.0
    # Of the generator.
    cpu_seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        return percentile(self.latencies, share)


class LoadProcesses:
    """Two processes that send load, each one job at a time."""

    def __init__(self, executor: ProcessPoolExecutor) -> None:
        self._executor = executor

    def send(self, job: Job) -> Outcome:
        """Send all requests, and return when all are answered."""
        return self.start(job).result()

    def start(self, job: Job) -> Future[Outcome]:
        return self._executor.submit(_send, job)


@contextmanager
def load_processes() -> Iterator[LoadProcesses]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield LoadProcesses(executor)


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """The bytes of one request on a connection that stays open."""
    lines = [f"{method} {path} HTTP/1.1", "Host: portal"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        # Not for a GET, as RFC 9110 §8.6 advises: browsers send none, and the portal would look for a body.
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def _send(job: Job) -> Outcome:
    gc.disable()
    try:
        return _Sender(job).send_all()
    finally:
        gc.enable()


class _Connection:
    """One connection. `since` is the moment from which the latency of its current request counts."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.since = 0.0
        self.open()

    def open(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self._port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self._length = 0

    def fileno(self) -> int:
        return self.socket.fileno()

    def send(self, message: bytes, since: float) -> None:
        self.since = since
        try:
            self.socket.sendall(message)
        except OSError:
            # The server has closed the idle connection. `receive` reports it.
            return

    def receive(self) -> int | None:
        """Read what has arrived; the status if the answer is complete, BROKEN if it will not come."""
        try:
            part = self.socket.recv(65536)
        except OSError:
            part = b""
        if not part:
            self.socket.close()
            self.open()
            return BROKEN
        self._received = self._received + part if self._received else part
        if not self._length and not self._read_head():
            return None
        if len(self._received) < self._length:
            return None
        status = int(self._received[9:12])
        self._received, self._length = b"", 0
        return status

    def _read_head(self) -> bool:
        end = self._received.find(b"\r\n\r\n") + 4
        if end < 4:
            return False
        head = self._received[:end].lower()
        start = head.index(b"content-length: ") + 16
        self._length = end + int(head[start : head.index(b"\r\n", start)])
        return True


class _Sender:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._free = deque(_Connection(job.port) for _ in range(job.connections))
        self._busy: set[_Connection] = set()
        self._due: deque[tuple[float, bytes]] = deque()
        self._next = 0
        self._outcome = Outcome()

    def send_all(self) -> Outcome:
        outcome, total = self._outcome, len(self._job.requests)
        cpu, started = time.process_time(), time.perf_counter()
        while len(outcome.latencies) < total:
            wait = self._send_due(started)
            ready, _, _ = select.select(self._busy, (), (), wait)
            if not ready and wait == SILENCE_SECONDS:
                raise TimeoutError(f"{total - len(outcome.latencies)} requests were not answered")
            for connection in ready:
                self._receive(connection)
        outcome.seconds = time.perf_counter() - started
        outcome.cpu_seconds = time.process_time() - cpu
        for connection in self._free:
            connection.socket.close()
        return outcome

    def _send_due(self, started: float) -> float:
        """Send what is due and has a free connection; returns the seconds until the next request is due."""
        requests, per_second = self._job.requests, self._job.per_second
        wait = SILENCE_SECONDS
        if per_second is None:
            while self._free and self._next < len(requests):
                self._send_on_free(requests[self._next], time.perf_counter())
                self._next += 1
            return wait
        while self._next < len(requests):
            moment = started + self._next / per_second
            now = time.perf_counter()
            if moment > now:
                wait = moment - now
                break
            self._outcome.delays.append(now - moment)
            self._due.append((moment, requests[self._next]))
            self._next += 1
        while self._free and self._due:
            moment, message = self._due.popleft()
            self._send_on_free(message, moment)
        return wait

    def _send_on_free(self, message: bytes, since: float) -> None:
        connection = self._free.popleft()
        connection.send(message, since)
        self._busy.add(connection)

    def _receive(self, connection: _Connection) -> None:
        status = connection.receive()
        if status is None:
            return
        self._outcome.latencies.append(time.perf_counter() - connection.since)
        self._outcome.statuses[status] += 1
        self._busy.discard(connection)
        self._free.append(connection)
