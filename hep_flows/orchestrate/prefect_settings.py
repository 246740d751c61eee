"""Prefect's settings for a server of our own; those of the user stay what they are."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import prefect.settings as ps

from hep_flows.orchestrate.quiet import quiet
from hep_flows.settings import environment_with

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def private_settings(url: str, folder: str) -> Iterator[None]:
    """Let flows use a server of our own while the block runs. The settings go along with tasks to other processes.

    They are those of the context, and not of the environment: several runs may go on at once in a process, and what the user does with a
    Prefect of their own at the same time is not touched.

    Parameters
    ----------
    url : str
        The address of its API.
    folder : str
        Where Prefect may put files.
    """
    settings = {
        ps.PREFECT_API_URL: url,
        ps.PREFECT_API_KEY: None,
        ps.PREFECT_HOME: f"{folder}/home",
        ps.PREFECT_LOGGING_TO_API_ENABLED: False,
        ps.PREFECT_SERVER_ANALYTICS_ENABLED: False,
        # The server is on this machine: when it is gone, it does not come back while one waits.
        ps.PREFECT_CLIENT_MAX_RETRIES: 2,
        # A flow waits a second for its heartbeat thread at the end; nobody watches the beats of a run of our own.
        ps.PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
    }
    with quiet(), ps.temporary_settings(settings):
        yield


@contextmanager
def shared_settings(url: str) -> Iterator[None]:
    """Let what runs in the block, and the processes that it starts, use a server as if the user had configured it."""
    with environment_with({"PREFECT_API_URL": url}), ps.temporary_settings({ps.PREFECT_API_URL: url}):
        yield
