"""Bearer tokens: a refresh token gives access tokens that end."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time


class Tokens:
    """Who may call.

    Parameters
    ----------
    refresh : str
        The token of ``servicex.yaml``; everybody may call where it is empty.
    lifetime_s : float
        How long an access token is good for.
    """

    def __init__(self, refresh: str, lifetime_s: float = 3600.0) -> None:
        self.refresh = refresh
        self.lifetime_s = lifetime_s
        self.refreshes = True
        self._lock = threading.Lock()
        self._good: dict[str, float] = {}

    def allows(self, authorization: str) -> bool:
        """Say whether a call with this header may go on."""
        if not self.refresh:
            return True
        token = authorization.removeprefix("Bearer ")
        with self._lock:
            return self._good.get(token, 0.0) > time.time()

    def issue(self, authorization: str) -> str | None:
        """Give an access token for the refresh token of this header; None for any other."""
        if authorization != f"Bearer {self.refresh}" or not self.refreshes:
            return None
        end = time.time() + self.lifetime_s
        parts = [{"alg": "none", "typ": "JWT"}, {"exp": int(end), "iat": int(time.time()), "jti": secrets.token_hex(8)}]
        body = ".".join([_encoded(json.dumps(p).encode()) for p in parts])
        token = f"{body}.{_encoded(secrets.token_bytes(16))}"
        with self._lock:
            self._good[token] = end
        return token

    def revoke(self) -> None:
        """End every access token at once, as a server does that was given a new key."""
        with self._lock:
            self._good.clear()

    def issued(self) -> tuple[str, ...]:
        """Give the access tokens that are good."""
        with self._lock:
            return tuple(self._good)


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()
