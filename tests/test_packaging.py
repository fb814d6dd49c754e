# SPDX-License-Identifier: Apache-2.0
"""What is shipped: the sdist has all sources, the wheel one binary for every Python from 3.11 on, and each shakes hands in a clean environment."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
# Other interpreters that the one wheel must run on: paths, separated as PATH is.
PYTHONS = [sys.executable, *filter(None, os.environ.get("TLSFAST_PYTHONS", "").split(os.pathsep))]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SHAKE_HANDS = """
import tlsfast
from tlsfast.cli.authority import make_authority

made = make_authority()
server = tlsfast.ServerConnection(tlsfast.ServerConfig(credentials=[tlsfast.Credential.load(made.chain, made.key)]))
trust = tlsfast.TrustStore.from_pem(made.ca)
client = tlsfast.ClientConnection(tlsfast.ClientConfig(trust=trust), "localhost")
while client.handshake is None or server.handshake is None:
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
client.send_data(b"hello")
print(server.receive_data(client.data_to_send())[0].data.decode(), tlsfast.__file__)
"""


def run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the sdist and the wheel are: built here, or by `make dist` just before."""
    if "TLSFAST_DIST" in os.environ:
        return Path(os.environ["TLSFAST_DIST"]).resolve()
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    return folder


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def test_the_sdist_has_every_source(shipped: Path) -> None:
    with tarfile.open(only(shipped, "*.tar.gz")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    sources = {path.relative_to(ROOT).as_posix() for kind in ("c", "h") for path in (ROOT / "csrc").rglob(f"*.{kind}")}
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tlsfast").rglob("*.py")}
    assert sources and sources | modules <= names
    assert {
        "LICENSE",
        "README.md",
        "Makefile",
        "build_ffi.py",
        "setup.py",
        "tlsfast/py.typed",
        "tools/bootstrap.sh",
    } <= names
    assert {name for name in names if name.startswith("tests/")}
    assert not [name for name in names if name.endswith((".so", ".pyc", ".o")) or ".venv" in name]


def test_the_wheel_is_one_for_all(shipped: Path) -> None:
    wheel = only(shipped, "*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        folder = next(name.partition("/")[0] for name in names if ".dist-info/" in name)
        metadata = message_from_bytes(archive.read(f"{folder}/METADATA"))
    if not FREE_THREADED:
        assert "-cp311-abi3-" in wheel.name
    assert [name for name in names if name.startswith("tlsfast/_native.") and name.endswith((".so", ".pyd"))]
    assert {"tlsfast/py.typed", "tlsfast/cli/app.py", f"{folder}/licenses/LICENSE"} <= names
    assert {name.partition("/")[0] for name in names} == {"tlsfast", folder}
    assert not [name for name in names if name.endswith((".c", ".h"))]
    assert metadata["License-Expression"] == "Apache-2.0" and metadata["Requires-Python"] == ">=3.11"
    always = {each.partition(";")[0].strip() for each in metadata.get_all("Requires-Dist", []) if "extra" not in each}
    assert always == {"cffi>=1.17", "cryptography>=48"}


@pytest.mark.parametrize(("kind", "python"), [("*.tar.gz", sys.executable), *(("*.whl", python) for python in PYTHONS)])
def test_each_shakes_hands_in_a_clean_environment(shipped: Path, tmp_path: Path, kind: str, python: str) -> None:
    environment = tmp_path / "venv"
    run(python, "-m", "venv", environment, cwd=tmp_path)
    inside = environment / ("Scripts" if os.name == "nt" else "bin")
    run(inside / "python", "-m", "pip", "install", "-q", only(shipped, kind), cwd=tmp_path)
    said, _, where = run(inside / "python", "-c", SHAKE_HANDS, cwd=tmp_path).partition(" ")
    assert said == "hello"
    assert Path(where.strip()).is_relative_to(environment), "another tlsfast was imported"
    bare = subprocess.run([inside / "tlsfast"], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert bare.returncode == 2 and 'pip install "tlsfast[cli]"' in bare.stderr
