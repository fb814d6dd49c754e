# SPDX-License-Identifier: Apache-2.0
"""Reading certificates, keys and CRLs from where people keep them: PEM or DER, in bytes or a file (RFC 7468), for credentials and trust."""

from __future__ import annotations

import binascii
import os
import re
from dataclasses import dataclass
from pathlib import Path

from tlsfast.errors import ConfigurationError

Source = str | os.PathLike[str] | bytes | bytearray | memoryview

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----[ \t\r]*\n(.*?)-----END \1-----", re.DOTALL)
_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_CERTIFICATE_LABELS = ("CERTIFICATE", "X509 CERTIFICATE")


@dataclass(frozen=True, slots=True)
class Block:
    """One PEM block: its label and the text with both marker lines. A DER input is one block with an empty label."""

    label: str
    text: bytes

    @property
    def is_certificate(self) -> bool:
        return self.label in _CERTIFICATE_LABELS

    @property
    def is_private_key(self) -> bool:
        return self.label.endswith("PRIVATE KEY")

    def der(self) -> bytes:
        """Decode the block; ValueError when it is not base64."""
        if not self.label:
            return self.text
        body = b"".join(self.text.splitlines()[1:-1])
        return binascii.a2b_base64(b"".join(body.split()), strict_mode=True)


@dataclass(frozen=True, slots=True)
class Material:
    """What was read, and from where, for messages."""

    blocks: tuple[Block, ...]
    origin: str

    @property
    def is_pem(self) -> bool:
        return bool(self.blocks[0].label)

    def found(self) -> str:
        """Say what kinds of blocks there are: "CERTIFICATE REQUEST, PRIVATE KEY"."""
        return ", ".join(dict.fromkeys(block.label for block in self.blocks)) if self.is_pem else "binary data"


def read(source: Source, what: str) -> Material:
    """Read a path, PEM text or DER; `what` names it in errors ("certificate chain"). A str is a path unless it holds a PEM block."""
    if isinstance(source, str) and "-----BEGIN" in source:
        return _cut(source.encode("utf-8", "replace"), f"the {what}", what)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _cut(bytes(source), f"the {what}", what)
    shown = _shown(source)
    try:
        path = Path(source)
        data = path.read_bytes()
    except FileNotFoundError:
        where = f"check the path (working directory: {Path.cwd()})"
        raise ConfigurationError(f"the {what} file {shown} does not exist: {where}") from None
    except IsADirectoryError:
        raise ConfigurationError(f"the {what} {shown} is a directory: give the file in it") from None
    except PermissionError:
        raise ConfigurationError(
            f"the {what} file {shown} may not be read by this user: change its owner or mode"
        ) from None
    except (OSError, TypeError, ValueError) as error:
        raise ConfigurationError(f"the {what} {shown} cannot be read: {type(error).__name__}") from None
    return _cut(data, f"the {what} file {shown}", what)


def _shown(source: object) -> str:
    """A path for a message. What may be a key by mistake, base64 without its PEM lines, must not get into one."""
    text = str(source)
    if len(text) > 200 or "\n" in text or (len(text) > 60 and text.startswith("MI")):
        return "(a long text: PEM needs its -----BEGIN and -----END lines)"
    return text


def _cut(data: bytes, origin: str, what: str) -> Material:
    if not data.strip():
        raise ConfigurationError(f"{origin} is empty: expected a {what} in PEM or DER")
    if b"-----BEGIN" not in data:
        # DER begins with SEQUENCE; everything that is read here does.
        if data[0] != 0x30:
            raise ConfigurationError(f"{origin} is neither PEM (no -----BEGIN line) nor DER: expected a {what}")
        return Material((Block("", data),), origin)
    blocks = tuple(Block(m[1].decode("ascii"), m[0]) for m in _BLOCK.finditer(data))
    begun = [m[1].decode("ascii") for m in _BEGIN.finditer(data)]
    if not blocks or len(blocks) != len(begun):
        cut = next(
            (label for label, block in zip(begun, blocks, strict=False) if label != block.label),
            begun[-1] if begun else "?",
        )
        raise ConfigurationError(
            f"{origin} is cut off or damaged: -----BEGIN {cut}----- has no matching -----END {cut}----- line"
        )
    return Material(blocks, origin)
