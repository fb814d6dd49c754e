# SPDX-License-Identifier: Apache-2.0
"""The context's _msg_callback: every handshake message, alert and ChangeCipherSpec of a connection, shown as OpenSSL would show it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from enum import IntEnum
from typing import Any

from tlsfast.events import AlertSeen, ChangeCipherSpecSeen, MessageSeen, Observation
from tlsfast.registry import ContentType

_STANDARD: Any = ssl  # its private enums


def wrapped(callback: Callable[..., object]) -> Any:
    """The callback with its arguments as members of the standard module's enums."""
    if not callable(callback):
        raise TypeError(f"{callback} is not callable.")

    def inner(conn: Any, direction: str, version: int, content_type: int, msg_type: int, data: bytes) -> object:
        kind = _STANDARD._TLSAlertType if content_type == ContentType.alert else _STANDARD._TLSMessageType
        return callback(
            conn,
            direction,
            _member(ssl.TLSVersion, version),
            _member(_STANDARD._TLSContentType, content_type),
            _member(kind, msg_type),
            data,
        )

    inner.user_function = callback  # type: ignore[attr-defined]
    return inner


def _member(kind: type[IntEnum], number: int) -> int:
    try:
        return kind(number)
    except ValueError:
        return number


def observer(callback: Any, owner: Callable[[], Any], version: Callable[[], int]) -> Callable[[Observation], None]:
    """An observer of one connection that tells the callback."""

    def observe(seen: Observation) -> None:
        if isinstance(seen, MessageSeen):
            kind, number, data = ContentType.handshake, seen.raw[0], seen.raw
        elif isinstance(seen, AlertSeen):
            kind, number, data = ContentType.alert, int(seen.description), bytes((0, seen.description))
        elif isinstance(seen, ChangeCipherSpecSeen):
            kind, number, data = ContentType.change_cipher_spec, 0x0101, b"\1"
        else:
            return
        callback(owner(), "write" if seen.sent else "read", version(), kind, number, data)

    return observe
