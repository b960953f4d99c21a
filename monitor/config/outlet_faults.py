"""Faults of what goes out that only the content of a secret file shows (rule C1)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from monitor.config.faults import ConfigFault
from monitor.config.outlet_sections import SinkSettings
from monitor.config.secret_files import SecretFileError, read_secret


def outlet_faults(sinks: SinkSettings, name: str) -> Iterator[ConfigFault]:
    """What is wrong with the apprise URL, without repeating it; files that cannot be read are told elsewhere."""
    if sinks.apprise is None:
        return
    with contextlib.suppress(SecretFileError):
        url = read_secret(sinks.apprise.url_file).decode("utf-8", "replace").strip()
        from connectors.chat import Chat

        try:
            Chat(url)
        except ValueError as error:
            problem, _, remedy = str(error).partition(". ")
            yield ConfigFault(name, "sinks.apprise.url_file", problem, remedy or "Write one such URL into the file.")
