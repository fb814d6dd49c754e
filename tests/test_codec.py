# SPDX-License-Identifier: Apache-2.0
"""The presentation language: what Reader reads is what the writers wrote, and every fault is a DecodeError that names the field."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlsfast.errors import ApiMisuse, DecodeError
from tlsfast.messages.codec import Reader, u8, u16, u16_list, u16_tuple, u24, u32, vec8, vec16, vec24

NUMBERS: list[tuple[Callable[[int], bytes], Callable[[Reader, str], int], int]] = [
    (u8, Reader.u8, 1),
    (u16, Reader.u16, 2),
    (u24, Reader.u24, 3),
    (u32, Reader.u32, 4),
]
VECTORS: list[tuple[Callable[[bytes], bytes], Callable[..., bytes], int]] = [
    (vec8, Reader.vec8, 1),
    (vec16, Reader.vec16, 2),
    (vec24, Reader.vec24, 3),
]


@pytest.mark.parametrize(("write", "read", "size"), NUMBERS)
def test_numbers(write: Callable[[int], bytes], read: Callable[[Reader, str], int], size: int) -> None:
    for value in (0, 1, 0x7F, 0x80, 256**size - 2, 256**size - 1):
        assert write(value) == value.to_bytes(size, "big")
        reader = Reader(b"\xaa" + write(value) + b"\xbb", "test")
        assert reader.u8("before") == 0xAA
        assert read(reader, "value") == value
        assert reader.remaining == 1
        assert reader.u8("after") == 0xBB
        reader.end()
    for value in (-1, 256**size):
        with pytest.raises(ApiMisuse):
            write(value)


@pytest.mark.parametrize(("write", "read", "size"), NUMBERS)
def test_numbers_cut_off(write: Callable[[int], bytes], read: Callable[[Reader, str], int], size: int) -> None:
    for length in range(size):
        with pytest.raises(DecodeError, match="Thing: width needs"):
            read(Reader(bytes(length), "Thing"), "width")


@pytest.mark.parametrize(("write", "read", "size"), VECTORS)
def test_vectors(write: Callable[[bytes], bytes], read: Callable[..., bytes], size: int) -> None:
    for length in (0, 1, 2, 127, 128, 255, 256, 65535, 65536):
        content = bytes(i & 0xFF for i in range(length))
        if length >= 256**size:
            with pytest.raises(ApiMisuse):
                write(content)
            continue
        raw = write(content)
        assert raw == length.to_bytes(size, "big") + content
        reader = Reader(raw + b"!", "test")
        assert read(reader, "content") == content
        assert reader.remaining == 1


@pytest.mark.parametrize(("write", "read", "size"), VECTORS)
def test_vectors_cut_off(write: Callable[[bytes], bytes], read: Callable[..., bytes], size: int) -> None:
    raw = write(b"four")
    for length in range(len(raw)):
        reader = Reader(raw[:length], "Thing")
        with pytest.raises(DecodeError, match="Thing: content needs"):
            read(reader, "content")


@pytest.mark.parametrize(("write", "read", "size"), VECTORS)
def test_vector_bounds(write: Callable[[bytes], bytes], read: Callable[..., bytes], size: int) -> None:
    for length in range(7):
        reader = Reader(write(bytes(length)), "Thing")
        if 2 <= length <= 5:
            assert read(reader, "content", 2, 5) == bytes(length)
        else:
            with pytest.raises(DecodeError, match=f"content has {length} bytes, it must have 2 to 5"):
                read(reader, "content", 2, 5)


def test_take_and_end() -> None:
    reader = Reader(b"abcdef", "Thing")
    assert reader.take(0, "nothing") == b""
    assert reader.take(4, "four") == b"abcd"
    with pytest.raises(DecodeError, match="Thing: 2 bytes follow its end") as caught:
        reader.end()
    assert caught.value.facts == {"what": "Thing", "trailing": 2}
    with pytest.raises(DecodeError, match="three needs 3 bytes, 2 are left"):
        reader.take(3, "three")
    assert reader.take(2, "rest") == b"ef"
    reader.end()


def test_a_failed_read_does_not_move() -> None:
    """The message of a fault counts what is left from where the field starts."""
    for read in (Reader.u8, Reader.u16, Reader.u24, Reader.u32, Reader.vec8, Reader.vec16):
        reader = Reader(b"", "Thing")
        with pytest.raises(DecodeError):
            read(reader, "field")
        assert reader.remaining == 0
    reader = Reader(b"\x05abc", "Thing")
    with pytest.raises(DecodeError, match="field needs 6 bytes, 4 are left"):
        reader.vec8("field")
    assert reader.remaining == 4


@given(st.lists(st.integers(0, 0xFFFF)).map(tuple))
def test_u16_lists(values: tuple[int, ...]) -> None:
    raw = u16_list(values)
    assert raw == b"".join(u16(value) for value in values)
    assert u16_tuple(raw, "list") == values
    with pytest.raises(DecodeError, match="list: .* odd length"):
        u16_tuple(raw + b"\0", "list")


def test_u16_list_out_of_range() -> None:
    for values in ((0x10000,), (-1,)):
        with pytest.raises(ApiMisuse):
            u16_list(values)
