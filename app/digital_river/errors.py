"""What can go wrong at Digital River, sorted by what to do about it.

DigitalRiverError
├── Unavailable           try again: time-outs, connection failures, 408 and 5xx
│   ├── BreakerOpen       not sent: the latest calls failed
│   └── NoConnectionFree  not sent: all of our own connections are in use
├── Throttled             wait: 429, the pause after a 429, or the request budget is used up
├── Refused               report it to the buyer: 400, 405, 406, 422 and other 4xx
├── Missing               404: the resource does not exist
├── ConflictingState      409: the state of the resource forbids the call
├── Unauthorised          alert an operator: 401 or 403, our key is wrong
└── Garbled               alert an operator: the response is not what the documents promise
"""

NO_CONNECTION_RETRY_SECONDS = 2.0


class DigitalRiverError(Exception):
    """A call to Digital River that brought no result.

    `request_id` is Digital River's id of the call (`x-dr-requestid`), None if no response came.
    The text of an error contains no personal data, no link and no identifier.
    """

    def __init__(self, message: str, *, request_id: str | None = None) -> None:
        super().__init__(message)
        self.request_id = request_id


class Unavailable(DigitalRiverError):
    """No usable response; the same call may work later.

    `retry_after` is in seconds, None if Digital River sent no time. `sent` is False if no connection was
    established; then the call had no effect at Digital River.
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
    """Not sent: the latest calls to Digital River failed. `retry_after` is never None here."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("the breaker is open", retry_after=retry_after, sent=False)


class NoConnectionFree(Unavailable):
    """Not sent: all connections of this process are in use. It says nothing about Digital River."""

    def __init__(self) -> None:
        super().__init__("all connections are in use", retry_after=NO_CONNECTION_RETRY_SECONDS, sent=False)


class Throttled(DigitalRiverError):
    """The key's request budget is used up; the call had no effect. `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: float, request_id: str | None = None) -> None:
        super().__init__(message, request_id=request_id)
        self.retry_after = retry_after


class Refused(DigitalRiverError):
    """Digital River does not accept the content of the request.

    `codes` and `parameters` have one entry for each error, "" if Digital River names none.
    Both are open sets. The portal never shows them to a buyer.
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
    """The resource does not exist, or not for our key. `codes` as in Refused."""

    def __init__(self, codes: tuple[str, ...] = (), *, request_id: str | None = None) -> None:
        super().__init__("not found", request_id=request_id)
        self.codes = codes


class ConflictingState(DigitalRiverError):
    """The state of the resource forbids the call.

    Digital River also answers 409 with the code `not_found` if a resource that the request refers to does not
    exist (API basics, errors). A caller that must tell the two apart reads `codes`.
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
    """A 2xx whose body is not JSON or lacks a required field, a redirect, or a response that does not end."""
