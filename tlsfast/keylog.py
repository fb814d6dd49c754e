# SPDX-License-Identifier: Apache-2.0
"""The key log: an observer that writes secrets for a packet analyser, in the format of RFC 9850 (SSLKEYLOGFILE)."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

from tlsfast.errors import ConfigurationError
from tlsfast.events import Observation, SecretDerived

KeyLogTarget = str | os.PathLike[str] | Callable[[str], object]


class KeyLog:
    """Writes one line a secret: label, client random, secret in hexadecimal.

    The target is a path, opened for append, or a callable given each line."""

    def __init__(self, target: KeyLogTarget) -> None:
        self._lock = threading.Lock()
        self._write: Callable[[str], object]
        if callable(target):
            self._write = target
            return
        try:
            # Secrets: readable by the owner alone where the file is new.
            descriptor = os.open(Path(target), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigurationError(f"the key log {os.fspath(target)!r} cannot be opened: {error.strerror}") from None
        stream = os.fdopen(descriptor, "a", encoding="ascii", buffering=1)
        self._write = lambda line: stream.write(line + "\n")
        weakref.finalize(self, stream.close)  # with the last configuration that uses it, and without a ResourceWarning

    def __call__(self, seen: Observation) -> None:
        if isinstance(seen, SecretDerived):
            line = f"{seen.label} {seen.client_random.hex()} {seen.secret.reveal().hex()}"
            with self._lock:
                self._write(line)


def key_log_from_environment() -> KeyLog | None:
    """The key log that SSLKEYLOGFILE names, opened once a process and path."""
    path = os.environ.get("SSLKEYLOGFILE")
    if not path:
        return None
    if path not in _opened:
        _opened[path] = KeyLog(path)
    return _opened[path]


_opened: dict[str, KeyLog] = {}
