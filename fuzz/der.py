# SPDX-License-Identifier: Apache-2.0
"""DER as a tree that a script edits: lengths stay right unless they are what is changed, so that the edits reach what lies deep inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from engine import Script
from vary import edit

# Elements that parsers tend to stumble over, put in the place of others.
SNIPPETS = tuple(
    bytes.fromhex(snippet)
    for snippet in (
        "0500 0101ff 010100 010101 0100 020100 0201ff 0200 02020001 020900ffffffffffffffff 0208ffffffffffffffff "
        "0600 060100 060180 060a8080808080808080807f 3000 3100 0400 0300 030101 030207ff 0c00 1300 1600 1e00 "
        "0c02c328 0c0100 0c041b5b324a 160461008062 16022a2e 16012e 1602c3a9 1303610a62 1e0300d800 1c0400110000 "
        "170d3939303130313030303030305a 170b393930313031303030305a 180f39393939313233313233353935395a "
        "180f30303030303130313030303030305a 180f32303234303233303030303030305a 18133230323430323239303030303030"
        "2e3030305a 1700 0a0100 0a0107 8700 870401020304 87057f00000100 8708010203040000ffff 8710"
        "00000000000000000000000000000001 8000 8200 82012a 8203612e2e 8106406578616d 8600 a000 a400 a003020102 a003020100 a00302017f"
    ).split()
)
# Extension, algorithm and purpose identifiers: dressed as one another.
OIDS = tuple(
    bytes.fromhex(oid)
    for oid in (
        "551d0e 551d0f 551d11 551d12 551d13 551d14 551d15 551d1c 551d1e 551d1f 551d20 551d23 551d25 551d2e 551d36 "
        "2b06010505070101 2b06010505070118 2b06010505073001 2b06010505073002 2b06010505070309 2b06010505070301 2b06010505070302 "
        "2b06010401d679020402 2a864886f70d01010b 2a864886f70d01010a 2a864886f70d010101 2a8648ce3d0201 2a8648ce3d030107 2b81040022 "
        "2a8648ce3d040302 2a8648ce3d040303 2b6570 2b656e 550403 2a864886f70d010901 2a864886f70d010104"
    ).split()
)
MAX_SIZE = 1 << 16


@dataclass
class Node:
    """One element: children for what is constructed or wraps other elements, else content; header replaces the right one."""

    tag: int
    content: bytes = b""
    children: list[Node] | None = None
    header: bytes | None = None

    def encode(self) -> bytes:
        body = self.content
        if self.children is not None:
            body += b"".join(child.encode() for child in self.children)
        return (self.header if self.header is not None else bytes((self.tag,)) + length_of(len(body))) + body

    def copy(self) -> Node:
        children = None if self.children is None else [child.copy() for child in self.children]
        return Node(self.tag, self.content, children, self.header)


@dataclass
class _Place:
    siblings: list[Node]
    index: int
    above: list[Node] = field(default_factory=list)


def length_of(size: int) -> bytes:
    if size < 0x80:
        return bytes((size,))
    number = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((0x80 | len(number),)) + number


def parse(der: bytes) -> list[Node]:
    """The elements of DER; strings that hold DER are opened too. ValueError for what is none."""
    nodes, at = [], 0
    while at < len(der):
        if at + 2 > len(der):
            raise ValueError("cut off")
        tag, size, start = der[at], der[at + 1], at + 2
        if size & 0x80:
            count = size & 0x7F
            size, start = int.from_bytes(der[start : start + count]), start + count
        if start + size > len(der) or tag == 0:
            raise ValueError("cut off")
        nodes.append(_node(tag, der[start : start + size]))
        at = start + size
    return nodes


def _node(tag: int, body: bytes) -> Node:
    if tag & 0x20:
        return Node(tag, children=parse(body))
    wrapped = {0x04: 0, 0x03: 1}.get(tag)  # a BIT STRING begins with its count of unused bits
    if wrapped is not None and len(body) > wrapped + 1:
        try:
            return Node(tag, body[:wrapped], parse(body[wrapped:]))
        except ValueError:
            pass
    return Node(tag, body)


def places(nodes: list[Node], found: list[_Place] | None = None) -> list[_Place]:
    """Every element, from the outside in, with where it stands."""
    found = [] if found is None else found
    for index, node in enumerate(nodes):
        found.append(_Place(nodes, index))
        if node.children is not None:
            places(node.children, found)
    return found


def edit_tree(root: list[Node], script: Script) -> None:
    """Make one edit somewhere."""
    every = places(root)
    place = every[script.below(len(every))]
    siblings, index = place.siblings, place.index
    node = siblings[index]
    kind = script.below(len(_EDITS))
    if kind == 0:
        other = every[script.below(len(every))]
        siblings[index] = other.siblings[other.index].copy()
        return
    _EDITS[kind](siblings, index, node, script)


def _snippet(siblings: list[Node], index: int, node: Node, script: Script) -> None:
    der = script.pick(SNIPPETS)
    siblings[index] = Node(0, b"", header=der)


def _insert(siblings: list[Node], index: int, node: Node, script: Script) -> None:
    siblings.insert(index, Node(0, b"", header=script.pick(SNIPPETS)))


def _content(siblings: list[Node], index: int, node: Node, script: Script) -> None:
    whole = Node(node.tag, node.content, node.children).encode()
    body = whole[len(whole) - _size(node) :]
    siblings[index] = Node(node.tag, edit(body, script)[:MAX_SIZE])


def _size(node: Node) -> int:
    return len(node.content) + sum(len(child.encode()) for child in node.children or ())


def _delete(siblings: list[Node], index: int, node: Node, script: Script) -> None:
    del siblings[index]


def _double(siblings: list[Node], index: int, node: Node, script: Script) -> None:
    count = script.pick((1, 1, 1, 2, 40))
    if count * _size(node) < MAX_SIZE:
        siblings[index:index] = [node.copy() for _ in range(count)]


def _tag(siblings: list[Node], index: int, node: Node, script: Script) -> None:
    node.tag = script.pick(
        (script.number(), 0x80, node.tag ^ 0x20, 0x80 | node.tag & 0x1F, 0x0C, 0x13, 0x16, 0x1E, 0x14, 0x18, 0x17)
    )


def _length(siblings: list[Node], index: int, node: Node, script: Script) -> None:
    size = _size(node)
    lies = (
        b"\x80",
        b"\x81" + bytes((size & 0xFF,)),
        b"\x84\xff\xff\xff\xff",
        b"\x88" + b"\x7f" * 8,
        b"\x00",
        length_of(size + 1),
    )
    node.header = bytes((node.tag,)) + script.pick(lies)


def _oid(siblings: list[Node], index: int, node: Node, script: Script) -> None:
    siblings[index] = Node(0x06, script.pick(OIDS))


def _wrap(siblings: list[Node], index: int, node: Node, script: Script) -> None:
    der = node.encode()
    for _ in range(script.pick((1, 2, 30, 300))):
        der = bytes((script.pick((0x30, 0x31, 0xA0, 0xA4, 0x04)),)) + length_of(len(der)) + der
    siblings[index] = Node(0, b"", header=der)


def _critical(siblings: list[Node], index: int, node: Node, script: Script) -> None:
    """Add criticality behind an identifier, or change the one that is there."""
    if node.tag == 0x01:
        node.content = script.pick((b"\xff", b"\x00", b"\x01"))
    else:
        siblings.insert(index + 1, Node(0x01, b"\xff"))


_EDITS: tuple[Callable[[list[Node], int, Node, Script], None], ...] = (
    _delete,  # stands for the splice of edit_tree
    _delete,
    _double,
    _content,
    _content,
    _snippet,
    _insert,
    _tag,
    _length,
    _oid,
    _oid,
    _wrap,
    _critical,
)
