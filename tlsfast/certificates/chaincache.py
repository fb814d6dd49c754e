# SPDX-License-Identifier: Apache-2.0
"""A cache of chains that were verified: trust.py looks here before it searches a path. Revocation and hooks are never skipped by it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from tlsfast.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class FoundPath:
    """A path that passed every check but those that change by the minute; pinned: the leaf itself is the trust anchor."""

    certificates: Sequence[x509.Certificate]
    ders: tuple[bytes, ...]
    pinned: bool
    not_after: datetime


class ChainCache:
    """Verified chains for some minutes, at most max_entries of those used last. Thread-safe.

    An entry answers only for the same certificates in the same order, name, purpose, trust store and profile; not longer than lifetime seconds, nor
    beyond the end of any certificate of its path. Stapled OCSP responses, CRLs, hooks and the peer's signature are checked every time."""

    def __init__(self, max_entries: int = 256, lifetime: float = 300.0) -> None:
        if max_entries < 1 or lifetime <= 0:
            raise ConfigurationError(
                "a chain cache has room for at least one chain and keeps it for some seconds; chain_cache=None turns it off"
            )
        self._max_entries = max_entries
        self._lifetime = timedelta(seconds=lifetime)
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, tuple[datetime, datetime, FoundPath]] = OrderedDict()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} with {len(self)} chains>"

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)

    def put(self, key: Hashable, path: FoundPath, moment: datetime) -> None:
        """Keep a path verified at this moment; the one used longest ago makes room."""
        with self._lock:
            self._entries[key] = moment, min(moment + self._lifetime, path.not_after), path
            self._entries.move_to_end(key)
            if len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)

    def get(self, key: Hashable, moment: datetime) -> FoundPath | None:
        """The path kept under key, if it is good at this moment; a clock that was set back ends it too."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            start, end, path = entry
            if not start <= moment <= end:
                del self._entries[key]
                return None
            self._entries.move_to_end(key)
            return path

    def clear(self) -> None:
        """Forget every chain."""
        with self._lock:
            self._entries.clear()
