"""What the client raised, as an `EndpointError` that says whether asking again may help."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from hep_flows.plugins.servicex.endpoint import EndpointError

if TYPE_CHECKING:
    from collections.abc import Callable

# Server errors that no second attempt changes.
_FINAL_TEXTS = ("Failed to generate translation code",)
_CLIENT_ERROR = re.compile(r": 4(?!08|29)\d\d\b")
_NOT_ALLOWED = re.compile(r": 40[13]\b")
_NOT_KNOWN = re.compile(r"(?:Transform ID|Request) \S+ not found")


class UnavailableError(EndpointError):
    """The server cannot be used now: no answer, or the caller is not let in. Another server may do.

    Parameters
    ----------
    unauthorised : bool
        Whether it is the token.
    """

    def __init__(self, text: str, *, unauthorised: bool = False) -> None:
        super().__init__(text, transient=not unauthorised)
        self.unauthorised = unauthorised


class ForgottenError(EndpointError):
    """The server does not know the request any more."""


def failure_of(error: BaseException, what: str, scrubbed: Callable[[str], str]) -> EndpointError:
    """Give the error for something that the client raised; ``scrubbed`` takes secrets out of a text."""
    from servicex.servicex_adapter import AuthorizationError

    name, text = type(error).__name__, scrubbed(" ".join(str(error).split()))[:600]
    if isinstance(error, AuthorizationError):
        return UnavailableError(f"{what}: {text}", unauthorised=True)
    if type(error).__module__.startswith("google."):  # the text quotes the token
        return UnavailableError(f"{what}: the access token is no JSON web token", unauthorised=True)
    if isinstance(error, TimeoutError):
        return UnavailableError(f"{what}: {text}")
    if type(error).__module__.startswith(("httpx", "httpcore")):
        return UnavailableError(f"{what}: {name} {text}".rstrip())
    if isinstance(error, json.JSONDecodeError):
        return UnavailableError(f"{what}: the answer is no JSON")
    if type(error).__module__.startswith("pydantic"):  # the text quotes the answer, which holds keys
        return EndpointError(f"{what}: the answer has not the form that the client knows")
    return _by_its_text(error, what, text)


def _by_its_text(error: BaseException, what: str, text: str) -> EndpointError:
    """Judge by the texts of the client: it raises ValueError for 400 and 404, RuntimeError for every other status."""
    name = type(error).__name__
    if isinstance(error, ValueError) and _NOT_KNOWN.match(text):
        return ForgottenError(f"{what}: {text}", transient=True)
    if isinstance(error, ValueError):
        return EndpointError(f"{what}: {text}")
    if isinstance(error, RuntimeError):
        if _NOT_ALLOWED.search(text):
            return UnavailableError(f"{what}: {text}", unauthorised=True)
        if any(t in text for t in _FINAL_TEXTS) or _CLIENT_ERROR.search(text):
            return EndpointError(f"{what}: {text}")
        return UnavailableError(f"{what}: {text}")
    return EndpointError(
        f"{what}: {name} {text}".rstrip(),
        transient=not isinstance(error, KeyError | TypeError | FileNotFoundError | PermissionError),
    )
