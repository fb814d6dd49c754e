# SPDX-License-Identifier: Apache-2.0
"""The presentation language of TLS, both ways: numbers and length-prefixed vectors; every decoder of messages/ reads through Reader (RFC 8446, 3)."""

from __future__ import annotations

import struct

from tlsfast.errors import ApiMisuse, DecodeError


class Reader:
    """Reads one message or extension body from front to back. Every fault is a DecodeError that names `what` is read and the field.

    Fields have their length checked against the bytes that are left; vectors also against the bounds that the RFC gives them."""

    __slots__ = ("_data", "_position", "_what")

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._position = 0
        self._what = what

    @property
    def remaining(self) -> int:
        """The number of bytes not read yet."""
        return len(self._data) - self._position

    def u8(self, field: str) -> int:
        """Read a uint8."""
        position = self._position
        try:
            value = self._data[position]
        except IndexError:
            raise self._short(field, 1) from None
        self._position = position + 1
        return value

    def u16(self, field: str) -> int:
        """Read a uint16."""
        data, position = self._data, self._position
        try:
            value = data[position] << 8 | data[position + 1]
        except IndexError:
            raise self._short(field, 2) from None
        self._position = position + 2
        return value

    def u24(self, field: str) -> int:
        """Read a uint24."""
        return int.from_bytes(self.take(3, field), "big")

    def u32(self, field: str) -> int:
        """Read a uint32."""
        return int.from_bytes(self.take(4, field), "big")

    def take(self, length: int, field: str) -> bytes:
        """Read exactly length bytes."""
        start = self._position
        stop = start + length
        if stop > len(self._data):
            raise self._short(field, length)
        self._position = stop
        return self._data[start:stop]

    def vec8(self, field: str, minimum: int = 0, maximum: int = 0xFF) -> bytes:
        """Read a vector with a one-byte length: opaque field<minimum..maximum>."""
        data, start = self._data, self._position + 1
        try:
            stop = start + data[start - 1]
        except IndexError:
            raise self._short(field, 1) from None
        if stop > len(data):
            raise self._short(field, stop - start + 1)
        if not minimum <= stop - start <= maximum:
            raise self._outside(field, stop - start, minimum, maximum)
        self._position = stop
        return data[start:stop]

    def vec16(self, field: str, minimum: int = 0, maximum: int = 0xFFFF) -> bytes:
        """Read a vector with a two-byte length: opaque field<minimum..maximum>."""
        data, start = self._data, self._position + 2
        try:
            stop = start + (data[start - 2] << 8 | data[start - 1])
        except IndexError:
            raise self._short(field, 2) from None
        if stop > len(data):
            raise self._short(field, stop - start + 2)
        if not minimum <= stop - start <= maximum:
            raise self._outside(field, stop - start, minimum, maximum)
        self._position = stop
        return data[start:stop]

    def vec24(self, field: str, minimum: int = 0, maximum: int = 0xFFFFFF) -> bytes:
        """Read a vector with a three-byte length: opaque field<minimum..maximum>."""
        length = self.u24(field)
        if not minimum <= length <= maximum:
            raise self._outside(field, length, minimum, maximum)
        return self.take(length, field)

    def end(self) -> None:
        """Refuse trailing bytes. RFC 8446, 6.2: a message whose length is incorrect earns a "decode_error" alert."""
        if self._position != len(self._data):
            raise DecodeError(
                f"{self._what}: {self.remaining} bytes follow its end", what=self._what, trailing=self.remaining
            )

    def _short(self, field: str, needed: int) -> DecodeError:
        return DecodeError(
            f"{self._what}: {field} needs {needed} bytes, {self.remaining} are left",
            what=self._what,
            field=field,
            needed=needed,
        )

    def _outside(self, field: str, length: int, minimum: int, maximum: int) -> DecodeError:
        return DecodeError(
            f"{self._what}: {field} has {length} bytes, it must have {minimum} to {maximum}",
            what=self._what,
            field=field,
            length=length,
        )


def u16_tuple(data: bytes, what: str) -> tuple[int, ...]:
    """Read data as uint16 numbers one after the other."""
    if len(data) % 2:
        raise DecodeError(
            f"{what}: a list of two-byte numbers has an odd length, {len(data)}", what=what, length=len(data)
        )
    return struct.unpack(f">{len(data) // 2}H", data)


def u16_list(values: tuple[int, ...]) -> bytes:
    """Write uint16 numbers one after the other."""
    try:
        return struct.pack(f">{len(values)}H", *values)
    except struct.error as error:
        raise ApiMisuse(f"not a list of two-byte numbers: {values!r}") from error


def u8(value: int) -> bytes:
    """Write a uint8."""
    try:
        return value.to_bytes(1, "big")
    except OverflowError:
        raise _too_large(value, 1) from None


def u16(value: int) -> bytes:
    """Write a uint16."""
    try:
        return value.to_bytes(2, "big")
    except OverflowError:
        raise _too_large(value, 2) from None


def u24(value: int) -> bytes:
    """Write a uint24."""
    try:
        return value.to_bytes(3, "big")
    except OverflowError:
        raise _too_large(value, 3) from None


def u32(value: int) -> bytes:
    """Write a uint32."""
    try:
        return value.to_bytes(4, "big")
    except OverflowError:
        raise _too_large(value, 4) from None


def vec8(content: bytes) -> bytes:
    """Write a vector with a one-byte length."""
    try:
        return len(content).to_bytes(1, "big") + content
    except OverflowError:
        raise _too_large(len(content), 1) from None


def vec16(content: bytes) -> bytes:
    """Write a vector with a two-byte length."""
    try:
        return len(content).to_bytes(2, "big") + content
    except OverflowError:
        raise _too_large(len(content), 2) from None


def vec24(content: bytes) -> bytes:
    """Write a vector with a three-byte length."""
    try:
        return len(content).to_bytes(3, "big") + content
    except OverflowError:
        raise _too_large(len(content), 3) from None


def _too_large(value: int, size: int) -> ApiMisuse:
    return ApiMisuse(f"{value} does not fit in {size} bytes of a message")
