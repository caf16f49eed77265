"""What can go wrong at Digital River, sorted by what to do about it.

DigitalRiverError
├── Unavailable      try again: time-outs, connection failures, 408 and 5xx
│   ├── BreakerOpen  not even tried: it failed too often just now
│   └── Crowded      not even tried: all of our own connections are in use
├── Throttled        wait: 429, the pause that follows one, or the budget is used up
├── Refused          tell the buyer: 400, 405, 406, 422 and other 4xx
├── Missing          404: no such thing
├── Conflict         409: the thing is in a state that forbids this
├── Unauthorised     page us: 401, 403: our key is wrong
└── Garbled          page us: an answer that is not what the documents promise
"""

CROWDED_RETRY_SECONDS = 2.0


class DigitalRiverError(Exception):
    """A far-side call that brought no result.

    `request_id` is Digital River's own name for the call (`x-dr-requestid`), None when no answer came.
    The text of an error names no personal data, no link and no identifier.
    """

    def __init__(self, message: str, *, request_id: str | None = None) -> None:
        super().__init__(message)
        self.request_id = request_id


class Unavailable(DigitalRiverError):
    """No usable answer; the same call may work later.

    `retry_after` is in seconds, None when nobody named a time. `sent` is False when the connection was never
    established, so that nothing can have happened on the far side.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        sent: bool = True,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, request_id=request_id)
        self.retry_after = retry_after
        self.sent = sent


class BreakerOpen(Unavailable):
    """Not tried: the far side failed too often just now. `retry_after` is always known here."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("the breaker is open", retry_after=retry_after, sent=False)


class NoConnectionFree(Unavailable):
    """Not tried: this process has no connection free. That is our fault, and says nothing of the far side."""

    def __init__(self) -> None:
        super().__init__("all connections are in use", retry_after=CROWDED_RETRY_SECONDS, sent=False)


class Throttled(DigitalRiverError):
    """The key's request budget is used up; nothing happened on the far side. `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: float, request_id: str | None = None) -> None:
        super().__init__(message, request_id=request_id)
        self.retry_after = retry_after


class Refused(DigitalRiverError):
    """The request itself is not acceptable.

    `codes` and `parameters` run in parallel, one entry per error and "" where Digital River names none.
    Both are open sets and never shown to a buyer.
    """

    def __init__(
        self,
        status: int,
        codes: tuple[str, ...] = (),
        parameters: tuple[str, ...] = (),
        *,
        request_id: str | None = None,
    ) -> None:
        super().__init__(f"refused with {status}: {', '.join(filter(None, codes))}", request_id=request_id)
        self.status = status
        self.codes = codes
        self.parameters = parameters


class Missing(DigitalRiverError):
    """There is no such thing, or not for our key. `codes` as in Refused."""

    def __init__(self, codes: tuple[str, ...] = (), *, request_id: str | None = None) -> None:
        super().__init__("not found", request_id=request_id)
        self.codes = codes


class ConflictingState(DigitalRiverError):
    """The thing is in a state that forbids this.

    Digital River also answers 409 with the code `not_found` for something the request refers to (API basics,
    errors): callers that care look into `codes`.
    """

    def __init__(
        self,
        codes: tuple[str, ...] = (),
        parameters: tuple[str, ...] = (),
        *,
        request_id: str | None = None,
    ) -> None:
        super().__init__(f"conflict: {', '.join(filter(None, codes))}", request_id=request_id)
        self.codes = codes
        self.parameters = parameters


class Unauthorised(DigitalRiverError):
    """Our key is unknown, expired, or lacks a permission (401, 403 in `status`)."""

    def __init__(self, status: int, *, request_id: str | None = None) -> None:
        super().__init__(f"our key was rejected with {status}", request_id=request_id)
        self.status = status


class Garbled(DigitalRiverError):
    """A 2xx whose body is not JSON or lacks what it must have, a redirect, or an answer without end."""
