# SPDX-License-Identifier: Apache-2.0
"""What a fresh machine may lack: each want, simulated, gets one sentence that says what and the command that mends it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOOLS = ("sh", "env", "mktemp", "rm", "find", "tail", "cat", "touch", "mkdir", "head")


class Machine:
    """A directory of programs that is the whole PATH, and a copy of what the bootstrap reads."""

    def __init__(self, home: Path) -> None:
        self.home, self.programs, self.tree = home, home / "bin", home / "tree"
        self.programs.mkdir()
        for name in TOOLS:
            self.link(name)
        self.script("apt-get", "exit 1")
        (self.tree / "tools").mkdir(parents=True)
        (self.tree / "csrc").mkdir()
        for name in ("pyproject.toml", "setup.py", "build_ffi.py", "Makefile", "tools/bootstrap.sh"):
            shutil.copy(ROOT / name, self.tree / name)

    def link(self, name: str) -> None:
        found = shutil.which(name)
        assert found, name
        (self.programs / name).symlink_to(found)

    def script(self, name: str, text: str, folder: Path | None = None) -> Path:
        path = (folder or self.programs) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    def python(self, **modules: str) -> None:
        """Put in a python3 that is this one, but finds these modules before the standard library's."""
        overlay = self.home / "overlay"
        overlay.mkdir()
        for name, text in modules.items():
            (overlay / f"{name}.py").write_text(text, encoding="utf-8")
        self.script("python3", f'PYTHONPATH={overlay} exec "{sys.executable}" "$@"')

    def compiler(self) -> None:
        self.script("cc", f'PATH="{os.environ["PATH"]}" exec {os.environ.get("CC", "cc")} "$@"')

    def run(self, *arguments: str, **environment: str) -> str:
        """Run the bootstrap, see it fail, and return what it said."""
        variables = {"PATH": str(self.programs), "HOME": str(self.home), "TMPDIR": str(self.home), **environment}
        command = [str(self.programs / "sh"), "tools/bootstrap.sh", *(arguments or (".venv", "cli", "test"))]
        done = subprocess.run(command, cwd=self.tree, env=variables, capture_output=True, text=True, timeout=100)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr

    def sentence(self, **environment: str) -> str:
        said = self.run(**environment)
        assert said.startswith("tlsfast: ") and said.count("\n") == 1, said
        return said


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_no_python(machine: Machine) -> None:
    said = machine.sentence()
    assert "Python 3.11 or newer is needed and no Python 3 is here" in said
    assert "sudo apt-get install -y python3 python3-venv python3-dev" in said


def test_old_python(machine: Machine) -> None:
    machine.script("python3", 'test "$1" = --version && echo "Python 3.9.2" || exit 1')
    assert "Python 3.11 or newer is needed and Python 3.9.2 is here" in machine.sentence()


def test_old_python_named(machine: Machine) -> None:
    old = machine.script("python3.9", "exit 1")
    assert f"PYTHON={old} is not Python 3.11 or newer" in machine.sentence(PYTHON=str(old))


def test_newer_python_beside_an_old_one(machine: Machine) -> None:
    """The old python3 is passed over: what is missed next is the compiler."""
    machine.script("python3", "exit 1")
    machine.script("python3.12", f'exec "{sys.executable}" "$@"')
    assert "C compiler" in machine.sentence()


def test_no_venv_module(machine: Machine) -> None:
    machine.python(ensurepip="raise ImportError('ensurepip is split off')")
    machine.compiler()
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    said = machine.sentence()
    assert "venv module" in said and f"sudo apt-get install -y python{version}-venv" in said


def test_no_compiler(machine: Machine) -> None:
    machine.python()
    assert "no C compiler that works is here: run: sudo apt-get install -y gcc libc6-dev" in machine.sentence()


def test_compiler_without_its_headers(machine: Machine) -> None:
    machine.python()
    machine.script("cc", 'echo "stdint.h: No such file" >&2; exit 1')
    assert "no C compiler that works is here" in machine.sentence()


def test_other_package_managers(machine: Machine) -> None:
    (machine.programs / "apt-get").unlink()
    machine.script("dnf", "exit 1")
    machine.python()
    assert "sudo dnf install -y gcc glibc-devel" in machine.sentence()


def test_no_python_header(machine: Machine) -> None:
    machine.python(
        sitecustomize="import sysconfig\nreal = sysconfig.get_path\n"
        "sysconfig.get_path = lambda name, *a, **k: '/nowhere' if name == 'include' else real(name, *a, **k)\n"
    )
    machine.compiler()
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    said = machine.sentence()
    assert "Python.h" in said and f"sudo apt-get install -y python{version}-dev" in said


def test_no_network(machine: Machine) -> None:
    """Port 9 of this machine stands for an index that cannot be reached."""
    machine.python()
    machine.compiler()
    said = machine.run(PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_CONFIG_FILE=os.devnull)
    assert said.splitlines()[-1].startswith("tlsfast: cffi, cryptography and the tools could not be downloaded")
    assert "export HTTPS_PROXY=" in said
    assert not (machine.tree / ".venv" / ".installed").exists()


def test_c_that_does_not_compile(machine: Machine) -> None:
    """The compiler's words are shown; the sentence is the last line."""
    machine.compiler()
    machine.script("python", f'exec "{sys.executable}" "$@"', machine.tree / ".venv" / "bin")
    (machine.tree / "csrc" / "tlsfast_api.h").write_text("int tf_one(void);\n", encoding="utf-8")
    (machine.tree / "csrc" / "tlsfast.h").write_text("#error broken on purpose\n", encoding="utf-8")
    (machine.tree / "tlsfast").mkdir()
    (machine.tree / ".venv" / ".installed").touch()
    said = machine.run()
    assert "broken on purpose" in said
    assert said.splitlines()[-1].startswith("tlsfast: the extension did not build")


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_hands_the_sentence_on(machine: Machine) -> None:
    machine.link("make")
    variables = {"PATH": str(machine.programs), "HOME": str(machine.home)}
    done = subprocess.run(["make", "demo"], cwd=machine.tree, env=variables, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "tlsfast: Python 3.11 or newer is needed" in done.stderr


SKIPPING = {
    "test_absent.py": "import pytest\npytestmark = pytest.mark.interop\ndef test_a(): pytest.skip('no such peer')\n",
    "interop/test_whole.py": "import pytest\npytest.importorskip('no_such_module')\n",
    "test_unable.py": "import pytest\npytestmark = pytest.mark.interop\ndef test_b(): pytest.skip('peer cannot: x')\n",
    "test_other.py": "import pytest\ndef test_c(): pytest.skip('no vectors here')\n",
}


@pytest.mark.parametrize(("name", "in_ci"), [(n, i) for n in SKIPPING for i in ("0", "1")])
def test_ci_takes_no_missing_peer(name: str, in_ci: str, tmp_path: Path) -> None:
    """conftest.py turns such skips into failures where TLSFAST_CI is set, and leaves all others alone."""
    for file in ("tests/conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / file, tmp_path)
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(SKIPPING[name], encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(path)]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "TLSFAST_CI": in_ci}, capture_output=True, text=True
    )
    failed = in_ci == "1" and name in ("test_absent.py", "interop/test_whole.py")
    assert ("every peer must be here" in done.stdout) is failed
    assert (done.returncode in (1, 2)) is failed
