"""The errors that a caller can meet, with their stable codes. Messages say what to do and never hold content."""

from __future__ import annotations


class GatehouseError(Exception):
    """Ends a request with a status and a stable code; rendered in the caller's dialect by `router.api.errors`."""

    status = 500
    code = "internal_error"
    type = "server_error"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        should_retry: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status if status is not None else type(self).status
        self.code = code if code is not None else type(self).code
        self.param = param
        self.retry_after = retry_after
        self.should_retry = should_retry


class InvalidRequest(GatehouseError):
    """The body, a field or a header cannot be accepted as it is."""

    status = 400
    code = "invalid_request"
    type = "invalid_request_error"


class MethodNotAllowed(InvalidRequest):
    """The path does not take that method; `allow` lists those that it takes."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, allow: str) -> None:
        super().__init__(f"This path takes {allow}.")
        self.allow = allow


class Unauthenticated(GatehouseError):
    """A key is needed and none, or a wrong one, came."""

    status = 401
    code = "invalid_api_key"
    type = "authentication_error"


class Denied(GatehouseError):
    """The policy forbids what was asked for."""

    status = 403
    code = "policy_denied"
    type = "permission_error"


class NotFound(GatehouseError):
    """No such model or path."""

    status = 404
    code = "model_not_found"
    type = "not_found_error"


class Unavailable(GatehouseError):
    """Something that a retry can cure is down or full."""

    status = 503
    code = "local_unavailable"
    type = "server_error"


class Locked(Unavailable):
    """An admin has locked all exits (`gatehouse lockdown`). `unsent`: nothing of this request had left."""

    code = "lockdown"

    def __init__(self, *, unsent: bool = True) -> None:
        done = "nothing was sent" if unsent else "the answer from outside was cut off"
        super().__init__(f"All exits are locked by an admin: {done}. Ask for `auto` or `local` to be answered at home.")
        self.unsent = unsent


class TooMany(GatehouseError):
    """The caller has had what it may have; later it may again."""

    status = 429
    code = "rate_limit_exceeded"
    type = "rate_limit_error"


class RatesUnavailable(Unavailable):
    """Nobody can say how much was asked for, and the policy takes nothing then."""

    code = "rates_unavailable"

    def __init__(self) -> None:
        super().__init__(
            "How much was asked for cannot be counted at the moment, and the policy takes no request then."
        )


class BudgetExhausted(TooMany):
    """No budget has enough left for what the call could cost: nothing was sent."""

    code = "budget_exhausted"

    def __init__(self, status: int = 429, seconds: float | None = None) -> None:
        super().__init__(
            "The budget for models outside is used up. Ask for `auto` or `local` to have it answered at home.",
            status=status,
            retry_after=seconds,
            should_retry=False,
        )


class DeadlineExceeded(GatehouseError):
    """The time that the policy gives the request is over. `unsent`: no model was asked."""

    status = 504
    code = "deadline_exceeded"

    def __init__(self, seconds: float | None = None, *, unsent: bool = False) -> None:
        within = f" within the {seconds:g} s that the policy gives it" if seconds is not None else " in its time"
        # A retry would only come on top of what is too much already.
        super().__init__(f"The request was not answered{within}. Nothing more is done for it.", should_retry=False)
        self.unsent = unsent


class UpstreamError(GatehouseError):
    """A backend answered with an error, or broke off. `upstream_status` is what it said, if anything.

    `unsent`: the request never reached it, so nothing can have been used. `curable`: a moment later it might.
    """

    status = 502
    code = "upstream_error"
    type = "server_error"

    def __init__(
        self,
        message: str,
        *,
        upstream_status: int | None = None,
        unsent: bool = False,
        curable: bool = True,
        **rest: object,
    ) -> None:
        super().__init__(message, **rest)  # type: ignore[arg-type]  # keyword arguments of the base, passed through
        self.unsent = unsent
        self.curable = curable
        self.upstream_status = upstream_status


class UpstreamTimeout(UpstreamError):
    """A backend did not answer in time."""

    status = 504
    code = "upstream_timeout"
