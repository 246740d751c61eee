"""Whether a Prefect API answers at an address; nothing of Prefect is imported for it."""

from __future__ import annotations

ANSWER_S = 10.0


def is_healthy(api_url: str, timeout_s: float = ANSWER_S) -> bool:
    """Say whether a Prefect API answers."""
    if not api_url.startswith(("http://", "https://")):
        return False
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(f"{api_url}/health", timeout=timeout_s) as answer:  # noqa: S310 - checked above
            return answer.status == 200  # type: ignore[no-any-return]
    except (OSError, ValueError, urllib.error.URLError):
        return False


def free_port() -> int:
    """Give a port of the loopback address that nobody uses now."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
