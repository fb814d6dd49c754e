# SPDX-License-Identifier: Apache-2.0
"""inject() and extract(): make tlsfast's SSLContext that of the whole process, and take it back."""

from __future__ import annotations

import ssl
import sys
import threading
from typing import Any

from tlsfast.ssl.context import SSLContext

_lock = threading.Lock()
_standard: Any = ssl.SSLContext
_exchanged: list[tuple[Any, str]] = []


def inject() -> None:
    """Put tlsfast's SSLContext in the place of ssl.SSLContext, in the module and wherever it was imported by name.

    Call it before contexts are made: those that exist stay OpenSSL's, and are no instances of the class that ssl.SSLContext now names. Libraries
    imported later follow by themselves. Calling it again looks at the modules imported since."""
    with _lock:
        _exchange(_standard, SSLContext)


def extract() -> None:
    """Undo inject(). Contexts made meanwhile stay what they are."""
    with _lock:
        for module, name in _exchanged:
            if getattr(module, name, None) is SSLContext:
                setattr(module, name, _standard)
        _exchanged.clear()


def _exchange(old: Any, new: Any) -> None:
    for name, module in list(sys.modules.items()):
        if module is None or name.partition(".")[0] == "tlsfast":
            continue
        for attribute in ("SSLContext", "_SSLContext"):
            if getattr(module, "__dict__", {}).get(attribute) is old:
                setattr(module, attribute, new)
                _exchanged.append((module, attribute))
