# SPDX-License-Identifier: Apache-2.0
"""Imports go one way, down the pipeline: read from the source of every module and held against the order of the design."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "tlsfast"

# From the bottom up. A room is a module or a folder right under tlsfast/; it may import those that stand before it here, no other.
ORDER = (
    "_native registry errors events crypto keyshare record sniff messages certificates credentials trust sessions keylog config handshake "
    "driver connection wire sockets ssl aio redis __init__ explain tlsrpt cli"
).split()
BORDER = {"tlsfast.crypto", "tlsfast.keyshare", "tlsfast.record"}
TOUCH_SOCKETS = {"wire", "sockets", "ssl", "aio", "redis", "explain", "tlsrpt", "cli"}
TOOLS = {"redis", "explain", "tlsrpt", "cli"}
DEPENDENCIES = {"cryptography", "cffi", "tlsfast"}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module: str) -> str:
    """The part of the house that a dotted name stands in: tlsfast.messages.codec is in messages."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def is_module(dotted: str) -> bool:
    path = ROOT.parent.joinpath(*dotted.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir() or dotted == "tlsfast._native"


def imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Every module that a source imports, anywhere in it, as dotted names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*up, base]) if base else ".".join(up)
            if base.split(".")[0] != "tlsfast":
                yield base
                continue
            # `from tlsfast import record` names a module, `from tlsfast.record import RecordReader` a thing inside one.
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if is_module(inner) else base


def wrong_imports(module: str, package: str, source: str) -> list[str]:
    """What a module imports that stands above it, beside it, or is no dependency of this project."""
    here, wrong = room(module), []
    for name in imports(ast.parse(source), package):
        top = name.split(".")[0]
        if top == "tlsfast":
            there = room(name)
            if there not in ORDER:
                wrong.append(f"{name} has no place in the order")
            elif there != here and ORDER.index(there) >= ORDER.index(here):
                wrong.append(f"{name} stands above {here}")
        elif here not in TOOLS and top not in DEPENDENCIES | sys.stdlib_module_names:
            wrong.append(f"{name} is no dependency of the library")
        if top in {"socket", "socketserver", "selectors", "asyncio"} and here not in TOUCH_SOCKETS:
            wrong.append(f"{name}: {here} is sans-I/O")
    return wrong


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def package_of(module: str) -> str:
    return module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]


def imports_of(module: str) -> set[str]:
    return set(imports(ast.parse(MODULES[module].read_text(encoding="utf-8")), package_of(module)))


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    assert room(module) in ORDER, f"{module} has no place in the order: give it one here and in the design"
    assert wrong_imports(module, package_of(module), MODULES[module].read_text(encoding="utf-8")) == []


def test_no_cycle_inside_a_folder() -> None:
    """The parts of one room may use each other, in one direction."""
    edges = {
        module: {name for name in imports_of(module) if name != module and room(name) == room(module) != "__init__"}
        for module in MODULES
    }

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, "an import cycle: " + " -> ".join([*trail, module])
        for name in edges.get(module, ()):
            visit(name, (*trail, module))

    for module in edges:
        visit(module, ())


def test_only_the_border_imports_the_extension() -> None:
    importers = {module for module in MODULES if "tlsfast._native" in imports_of(module)}
    assert importers == BORDER


def test_init_holds_public_names_only() -> None:
    """Imports, __all__, the version and the door to what loads on first use; every name imported is a public one."""
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    public: set[str] = set()
    bound: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {target.id for target in targets if isinstance(target, ast.Name)}
            if "__all__" in names:
                public = set(ast.literal_eval(node.value)) if node.value else set()
            assert all(name.startswith("_") for name in names), f"__init__ defines {names}"
        elif isinstance(node, ast.ImportFrom | ast.Import):
            if not (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
                bound |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef):
            assert node.name in {"__getattr__", "__dir__"}, f"__init__ defines {node.name}"
        elif isinstance(node, ast.If):
            assert ast.unparse(node.test) == "TYPE_CHECKING"
        else:
            assert isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant), ast.unparse(node)
    assert public, "__init__ has no __all__"
    assert {name for name in bound if not name.startswith("_")} - {"Any", "TYPE_CHECKING"} <= public
    assert not [name for name in public if name.startswith("_") and name != "__version__"]


@pytest.mark.parametrize(
    ("module", "source", "fault"),
    [
        ("tlsfast.record", "from tlsfast.connection import ClientConnection", "stands above record"),
        ("tlsfast.record", "def late():\n    import tlsfast.config", "stands above record"),
        ("tlsfast.messages.codec", "from .. import trust", "stands above messages"),
        ("tlsfast.sockets", "import tlsfast", "stands above sockets"),
        ("tlsfast.trust", "from tlsfast.new_room import thing", "no place in the order"),
        ("tlsfast.trust", "import requests", "no dependency"),
        ("tlsfast.connection", "import socket", "sans-I/O"),
    ],
)
def test_the_check_can_fail(module: str, source: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "is_module", lambda _: True)
    found = wrong_imports(module, module.rpartition(".")[0], source)
    assert len(found) == 1 and fault in found[0]


def test_the_check_passes_what_is_right() -> None:
    assert wrong_imports("tlsfast.record", "tlsfast", "import struct\nfrom tlsfast.errors import TLSError\n") == []
    assert wrong_imports("tlsfast.messages.handshake", "tlsfast.messages", "from . import codec\n") == []
