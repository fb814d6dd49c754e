# SPDX-License-Identifier: Apache-2.0
"""What an extension is to the blocks of extensions.py, and the shapes that several extensions share (RFC 8446, 4.2)."""

from __future__ import annotations

from typing import Any, ClassVar

from tlsfast.messages.codec import Reader, u8, u16, u16_list, u16_tuple, vec8, vec16
from tlsfast.registry import ExtensionType


class Extension:
    """One extension in one direction: its number, the field of a block that holds its value, encoder and decoder. A namespace, never an instance."""

    number: ClassVar[ExtensionType]
    field: ClassVar[str]
    repeats: ClassVar[bool] = False  # many connections bring the same value: see extensions.py

    @classmethod
    def encode(cls, value: Any, /) -> bytes:
        """Write the extension_data."""
        raise NotImplementedError

    @classmethod
    def decode(cls, body: bytes, /) -> Any:
        """Read the whole extension_data."""
        reader = Reader(body, cls.field)
        value = cls.read(reader)
        reader.end()
        return value

    @classmethod
    def read(cls, reader: Reader, /) -> Any:
        """Read the fields of the struct; decode refuses what follows it."""
        raise NotImplementedError


class Flag(Extension):
    """struct {} Empty; the extension is there or it is not."""

    repeats = True

    @classmethod
    def encode(cls, value: bool, /) -> bytes:
        return b""

    @classmethod
    def read(cls, reader: Reader, /) -> bool:
        return True


class Raw(Extension):
    """opaque extension_data<0..2^16-1>; kept as it came."""

    @classmethod
    def encode(cls, value: bytes, /) -> bytes:
        return value

    @classmethod
    def read(cls, reader: Reader, /) -> bytes:
        return reader.take(reader.remaining, "extension_data")


class Number16(Extension):
    """uint16 value;"""

    repeats = True

    @classmethod
    def encode(cls, value: int, /) -> bytes:
        return u16(value)

    @classmethod
    def read(cls, reader: Reader, /) -> int:
        return reader.u16("value")


class List16(Extension):
    """uint16 values<2..2^16-2>;"""

    repeats = True

    @classmethod
    def encode(cls, value: tuple[int, ...], /) -> bytes:
        return vec16(u16_list(value))

    @classmethod
    def read(cls, reader: Reader, /) -> tuple[int, ...]:
        return u16_tuple(reader.vec16("list", 2, 0xFFFE), cls.field)


class List8(Extension):
    """uint8 values<1..255>;"""

    repeats = True

    @classmethod
    def encode(cls, value: tuple[int, ...], /) -> bytes:
        return vec8(b"".join(map(u8, value)))

    @classmethod
    def read(cls, reader: Reader, /) -> tuple[int, ...]:
        return tuple(reader.vec8("list", 1))
