# SPDX-License-Identifier: Apache-2.0
"""tlsfast.ssl: contexts, their settings, and connections in memory, with ourselves and the standard module as peers."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pki
import pytest
from cryptography.hazmat.primitives import serialization
from ssl_pairs import NAME, OURS, STANDARD, Pair, authority, client_context, files, paired, server_context

import tlsfast.ssl

ROOT = Path(__file__).parent.parent
SIDES = [(OURS, OURS), (OURS, STANDARD), (STANDARD, OURS)]
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


# ---- Connections in memory ----


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("identity", ["server", "rsa"])
@pytest.mark.parametrize(("client", "server"), SIDES)
def test_every_pair_talks(client: Any, server: Any, identity: str, version: ssl.TLSVersion) -> None:
    pair = paired(client_context(client, maximum_version=version), server_context(server, identity)).exchange()
    assert type(pair.client) is type(pair.server) is ssl.SSLObject
    assert pair.client.version() == pair.server.version() == version.name.replace("_", ".")
    assert pair.client.cipher() == pair.server.cipher()
    assert pair.client.cipher() in pair.server.shared_ciphers()
    data = os.urandom(300_001)
    for source, target in ((pair.client, pair.server), (pair.server, pair.client)):
        assert source.write(data) == len(data)
        pair.move()
        read = bytearray()
        while len(read) < len(data):
            read += target.read(256 * 1024)
        assert read == data
        with pytest.raises(ssl.SSLWantReadError):
            target.read(1)


@pytest.mark.parametrize("client", [OURS, STANDARD])
def test_the_certificate_is_shown_as_the_standard_module_shows_it(client: Any) -> None:
    shown = paired(client_context(client), server_context()).client.getpeercert()
    reference = paired(client_context(STANDARD), server_context(STANDARD)).client.getpeercert()
    assert shown == reference and shown["subjectAltName"] == (("DNS", NAME),)


def test_chains() -> None:
    context = client_context()
    pair = paired(context)
    verified, sent = pair.client._sslobj.get_verified_chain(), pair.client._sslobj.get_unverified_chain()
    assert [each.public_bytes(tlsfast.ssl._ssl.ENCODING_DER) for each in verified][-1] == authority().der
    assert verified[0] == sent[0] and len(sent) == 1
    assert ssl.PEM_cert_to_DER_cert(verified[0].public_bytes()) == pair.client.getpeercert(True)


def test_read_into_a_buffer_and_in_small_pieces() -> None:
    pair = paired().exchange()
    data = os.urandom(200_000)
    pair.server.write(data)
    pair.move()
    buffer = bytearray(150_000)
    first = pair.client.read(len(buffer), buffer)
    assert buffer[:first] == data[:first] and first > 16384
    rest = b""
    while first + len(rest) < len(data):
        rest += pair.client.read(1000)
        assert 0 <= pair.client.pending() < 2 * 16384
    assert rest == data[first:]
    assert pair.client.read(0) == b""
    with pytest.raises(ValueError):
        pair.client.read(-1)


@pytest.mark.parametrize("size", [32768, 65536, 262144, 300_000])
@pytest.mark.parametrize("into", [False, True])
def test_bulk_reads_lose_nothing_whatever_the_records(size: int, into: bool) -> None:
    """Large and small records, cut anywhere, read by large reads."""
    pair = paired().exchange()
    data = os.urandom(700_000)
    sizes, position = [1, 16384, 70_000, 5, 100_000, 300, 16385, 200_000], 0
    while position < len(data):
        for length in sizes:
            pair.server.write(data[position : position + length])
            position += length
    wire = pair.from_server.read()
    read = bytearray()
    for start in range(0, len(wire), 93_111):
        pair.to_client.write(wire[start : start + 93_111])
        try:
            while True:
                if into:
                    buffer = bytearray(size)
                    count = pair.client.read(size, buffer)
                    assert 0 < count <= size
                    read += buffer[:count]
                else:
                    piece = pair.client.read(size)
                    assert 0 < len(piece) <= size
                    read += piece
        except ssl.SSLWantReadError:
            pass
    assert read == data


def test_what_follows_close_notify_goes_back_into_the_bio() -> None:
    pair = paired().exchange()
    pair.server.write(b"last words")
    with pytest.raises(ssl.SSLWantReadError):
        pair.server.unwrap()
    pair.to_client.write(pair.from_server.read() + b"in the clear")
    assert pair.client.read(100_000) == b"last words"
    assert pair.client.read(100) == b""
    assert pair.client.unwrap() is None
    assert pair.to_client.read() == b"in the clear"
    pair.move()
    pair.server.unwrap()
    with pytest.raises(ssl.SSLError, match="PROTOCOL_IS_SHUTDOWN"):
        pair.client.write(b"more")
    with pytest.raises(ssl.SSLZeroReturnError):
        pair.client.read(1)


@pytest.mark.parametrize("size", [100, 100_000])
def test_what_follows_close_notify_stays_in_a_bio_that_has_ended(size: int) -> None:
    pair = paired().exchange()
    pair.server.write(bytes(50_000))
    with pytest.raises(ssl.SSLWantReadError):
        pair.server.unwrap()
    pair.to_client.write(pair.from_server.read() + b"in the clear")
    pair.to_client.write_eof()
    read = b""
    while piece := pair.client.read(size):
        read += piece
    assert read == bytes(50_000)
    assert pair.client.unwrap() is None
    assert pair.to_client.read() == b"in the clear"


def test_data_after_our_close_notify_is_an_error_of_unwrap() -> None:
    pair = paired().exchange()
    pair.server.write(b"unread")
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.unwrap()
    pair.move()
    with pytest.raises(ssl.SSLError, match="APPLICATION_DATA_AFTER_CLOSE_NOTIFY"):
        pair.client.unwrap()


def test_end_of_file() -> None:
    pair = paired().exchange()
    pair.to_client.write_eof()
    with pytest.raises(ssl.SSLEOFError, match="EOF occurred in violation of protocol") as caught:
        pair.client.read(1)
    assert caught.value.args[0] == ssl.SSL_ERROR_EOF
    lenient = paired(client_context(options=ssl.OP_ALL | tlsfast.ssl.engine._IGNORE_EOF)).exchange()
    lenient.to_client.write_eof()
    assert lenient.client.read(1) == b""


# ---- Trust and errors ----


def verification_error(client: Any, server: Any, name: str = NAME) -> ssl.SSLCertVerificationError:
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        paired(client, server, name=name)
    error = caught.value
    assert error.args[0] == ssl.SSL_ERROR_SSL
    assert (error.library, error.reason) == ("SSL", "CERTIFICATE_VERIFY_FAILED")
    assert str(error).startswith("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: " + error.verify_message)
    return error


def test_verification_errors_are_the_standard_ones_and_explain() -> None:
    unknown = verification_error(OURS(ssl.PROTOCOL_TLS_CLIENT), server_context())
    assert (unknown.verify_code, unknown.verify_message) == (20, "unable to get local issuer certificate")
    mismatch = verification_error(client_context(), server_context(), "wrong.test")
    assert mismatch.verify_code == 62
    assert mismatch.verify_message == "Hostname mismatch, certificate is not valid for 'wrong.test'."
    assert NAME in str(mismatch)  # the explanation names what the certificate is for
    assert verification_error(client_context(), server_context(), "127.0.0.1").verify_code == 64


@pytest.mark.parametrize(
    ("leaf", "code"),
    [
        ({"not_after": pki.now() - timedelta(days=2), "not_before": pki.now() - timedelta(days=9)}, 10),
        ({"eku": (pki.CLIENT_AUTH,)}, 26),
    ],
)
def test_verify_codes_agree_with_openssl(leaf: dict[str, Any], code: int, tmp_path: Path) -> None:
    made = pki.make_leaf(authority(), [NAME], **leaf)
    (tmp_path / "leaf.pem").write_bytes(made.pem + made.key_pem)
    for kind in (OURS, STANDARD):
        server = STANDARD(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(tmp_path / "leaf.pem")
        assert verification_error(client_context(kind), server).verify_code == code


def test_check_hostname_off_still_needs_trust() -> None:
    client = client_context(check_hostname=False)
    assert paired(client, name=None).client.getpeercert()["subject"]
    assert paired(client, name="wrong.test").client.getpeercert()
    stranger = OURS(ssl.PROTOCOL_TLS_CLIENT)
    stranger.check_hostname = False
    assert verification_error(stranger, server_context()).verify_code == 20
    stranger.verify_mode = ssl.CERT_NONE
    assert paired(stranger).client.getpeercert() == {}


def test_a_session_of_a_context_that_checked_less_is_not_resumed() -> None:
    client, server = client_context(check_hostname=False), server_context()
    paired(client, server, name="wrong.test").exchange()
    assert paired(client, server, name="wrong.test").client.session_reused
    client.check_hostname = True
    assert verification_error(client, server, "wrong.test").verify_code == 62


def test_hostname_is_required_to_be_checked() -> None:
    with pytest.raises(ValueError, match="check_hostname requires server_hostname"):
        Pair(name=None)


def test_crl_flags(tmp_path: Path) -> None:
    client = client_context(verify_flags=ssl.VERIFY_CRL_CHECK_LEAF)
    assert verification_error(client, server_context()).verify_code == 3
    crl = pki.make_crl(authority())
    path = tmp_path / "crl.pem"
    path.write_bytes(crl.public_bytes(serialization.Encoding.PEM))
    client.load_verify_locations(path)
    assert client.cert_store_stats()["crl"] == 1
    paired(client).exchange()


def test_trust_is_parsed_once_for_all_contexts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    one, two = client_context(), client_context()
    assert one._store() is two._store()
    ours, standard = tlsfast.ssl.create_default_context(), ssl.create_default_context()
    assert ours._store() is tlsfast.ssl.create_default_context()._store()
    assert ours.verify_mode == standard.verify_mode and ours.check_hostname and ours.options == standard.options
    assert one.cert_store_stats() == {"x509": 1, "crl": 0, "x509_ca": 1}
    assert one.get_ca_certs(True) == [authority().der]


def test_client_certificates() -> None:
    client, server = client_context(), server_context(verify_mode=ssl.CERT_REQUIRED)
    server.load_verify_locations(files() / "ca.pem")
    pair = Pair(client, server)
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        pair.shake_hands()
    with pytest.raises(ssl.SSLError) as caught:
        pair.client.read(1)
    assert caught.value.reason == "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    assert pair.client._sslobj.client_sigalg() is None
    client.load_cert_chain(files() / "client.pem")
    for version in VERSIONS:
        client.maximum_version = version
        for end in (pair := paired(client, server)).client, pair.server:
            assert end._sslobj.client_sigalg() == end._sslobj.server_sigalg() == "ecdsa_secp256r1_sha256"
    assert paired(client, server).exchange().server.getpeercert()["subjectAltName"] == (("DNS", "client.test"),)
    server.verify_mode = ssl.CERT_OPTIONAL
    assert paired(client_context(), server).server.getpeercert() is None


def test_credentials_from_bytes_and_objects(tmp_path: Path) -> None:
    leaf = pki.make_leaf(authority(), [NAME])
    for given in ((leaf.pem, leaf.key_pem), (leaf.cert, leaf.key), (leaf.pem + leaf.key_pem, None)):
        server = OURS(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(*given)
        assert paired(client_context(), server).client.getpeercert(True) == leaf.der
    with pytest.raises(FileNotFoundError):
        server.load_cert_chain(tmp_path / "absent.pem")
    with pytest.raises(ssl.SSLError, match="key values mismatch"):
        server.load_cert_chain(leaf.pem, pki.make_leaf(authority(), [NAME]).key_pem)


# ---- Sessions ----


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("server", [OURS, STANDARD])
def test_clients_resume_by_themselves(server: Any, version: ssl.TLSVersion) -> None:
    client, peer = client_context(maximum_version=version), server_context(server)
    assert not paired(client, peer).exchange().client.session_reused
    for _ in range(3):
        pair = paired(client, peer).exchange()
        assert pair.client.session_reused and pair.server.session_reused
    assert pair.client.getpeercert()["subjectAltName"] == (("DNS", NAME),)
    assert client.session_stats()["hits"] == 3


@pytest.mark.parametrize("version", VERSIONS)
def test_sessions_by_hand(version: ssl.TLSVersion) -> None:
    client, server = client_context(maximum_version=version), server_context()
    session = paired(client, server).exchange().client.session
    assert isinstance(session, tlsfast.ssl.SSLSession) and session.has_ticket and session.timeout > 0
    assert not paired(client, server).exchange().client.session_reused  # who looks at sessions says where they go
    again = paired(client, server, session=session).exchange()
    assert again.client.session_reused and again.client.session == session
    other = Pair(client, server, session=session, name="other.test")
    with pytest.raises(ssl.SSLCertVerificationError):  # the session is for another name: a full handshake
        other.shake_hands()
    assert tlsfast.ssl.session.OneSession(session).take(session._key, 0.0) is session._session
    assert tlsfast.ssl.session.OneSession(session).take(("another name", *session._key[1:]), 0.0) is None
    with pytest.raises(ValueError, match="different SSLContext"):
        Pair(client_context(), server, session=session)
    with pytest.raises(ValueError, match="after handshake"):
        again.client.session = session


# ---- SNI, ALPN, versions, suites, groups ----


def test_sni_callback_switches_the_certificate_and_keeps_what_is_demanded() -> None:
    server, other = server_context(verify_mode=ssl.CERT_REQUIRED), server_context(identity="other")
    for context in (server, other):
        context.load_verify_locations(files() / "ca.pem")
    asked = []

    def choose(sslobj: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        asked.append((type(sslobj), name, context))
        sslobj.context = other

    server.sni_callback = choose
    client = client_context()
    client.load_cert_chain(files() / "client.pem")
    names = paired(client, server).client.getpeercert()["subjectAltName"]
    assert asked == [(ssl.SSLObject, NAME, server)] and ("DNS", "other.test") in names
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN"):
        paired(client_context(), server)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ssl.ALERT_DESCRIPTION_ACCESS_DENIED, "TLSV1_ALERT_ACCESS_DENIED"),
        ("nonsense", "TLSV1_ALERT_INTERNAL_ERROR"),
        (ZeroDivisionError(), "SSLV3_ALERT_HANDSHAKE_FAILURE"),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_sni_callback_refuses(answer: Any, reason: str) -> None:
    server = server_context()

    def refuse(*_: object) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    server.sni_callback = refuse
    pair = Pair(client_context(STANDARD), server)
    with pytest.raises(ssl.SSLError):
        pair.shake_hands()
    with pytest.raises(ssl.SSLError) as caught:
        pair.client.do_handshake()
    assert caught.value.reason == reason


@pytest.mark.parametrize(("client", "server"), SIDES)
@pytest.mark.parametrize(("offered", "chosen"), [(["h2", "http/1.1"], "http/1.1"), (["spdy"], None), ([], None)])
def test_alpn(client: Any, server: Any, offered: list[str], chosen: str | None) -> None:
    ours, theirs = client_context(client), server_context(server)
    ours.set_alpn_protocols(offered)
    theirs.set_alpn_protocols(["http/1.1", "h2"])
    pair = paired(ours, theirs)
    assert pair.client.selected_alpn_protocol() == pair.server.selected_alpn_protocol() == chosen


def test_suites_and_groups() -> None:
    client, server = client_context(), server_context(STANDARD)
    client.set_ciphersuites("TLS_CHACHA20_POLY1305_SHA256")
    client.set_groups("P-384:secp256r1")
    pair = paired(client, server)
    assert pair.client.cipher() == ("TLS_CHACHA20_POLY1305_SHA256", "TLSv1.3", 256)
    assert pair.client._sslobj.group() == "secp384r1"
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers("ECDHE+AES256")
    assert paired(client, server).client.cipher()[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    assert {each["name"] for each in client.get_ciphers()} <= set(tlsfast.ssl.settings.NAMES.values())
    client.maximum_version = ssl.TLSVersion.TLSv1_3
    client.set_server_sigalgs("ecdsa_secp384r1_sha384")
    with pytest.raises(ssl.SSLError):
        paired(client, server)


def test_names_that_are_not_known_are_named() -> None:
    client = client_context()
    assert {"x25519", "secp256r1"} <= set(client.get_groups())
    assert "prime256v1" in client.get_groups(include_aliases=True)
    for call, named in (
        (lambda: client.set_groups("secp521r1"), "secp521r1"),
        (lambda: client.set_ecdh_curve("secp521r1"), "secp521r1"),
        (lambda: client.set_ciphersuites("TLS_AES_128_CCM_SHA256"), "CCM"),
        (lambda: client.set_client_sigalgs("ed448"), "ed448"),
        (lambda: client.set_psk_client_callback(lambda hint: (None, b"key")), "external pre-shared keys"),
    ):
        with pytest.raises(ssl.SSLError, match=named):
            call()
    client.set_groups("?secp521r1:x25519")
    client.set_client_sigalgs("RSA-PSS+SHA256:ECDSA+SHA384:ed25519")
    assert paired(client).client._sslobj.group() == "x25519"


def test_static_rsa_only_by_name() -> None:
    server = server_context(STANDARD, "transport", maximum_version=ssl.TLSVersion.TLSv1_2)
    server.set_ciphers("AES128-GCM-SHA256")
    client = client_context()
    for asked in ("ALL", "DEFAULT", "AESGCM"):
        client.set_ciphers(asked)
        with pytest.raises(ssl.SSLError, match="NO_SHARED_CIPHER"):
            paired(client, server)
    client.set_ciphers("ECDHE+AESGCM:AES128-GCM-SHA256")
    assert paired(client, server).client.cipher()[0] == "AES128-GCM-SHA256"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda c: c.set_ciphers("ECDHE-ECDSA-AES128-SHA256"), "CBC"),
        (lambda c: c.set_ciphers("DHE-RSA-AES128-GCM-SHA256"), "DHE"),
    ],
)
def test_what_is_not_done_is_named_or_falls_back(change: Any, named: str) -> None:
    client = client_context(maximum_version=ssl.TLSVersion.TLSv1_2)
    change(client)
    with pytest.raises(ssl.SSLError, match=named) as caught:
        Pair(client)
    assert caught.value.reason == "UNSUPPORTED"
    lenient = OURS(ssl.PROTOCOL_TLS_CLIENT, fallback="openssl")
    lenient.maximum_version = ssl.TLSVersion.TLSv1_2
    lenient.load_verify_locations(files() / "ca.pem")
    change(lenient)
    assert type(Pair(lenient).client._sslobj).__name__ == "_SSLSocket"


def test_fallback_carries_trust_and_keys() -> None:
    contexts = []
    for kind, load in ((ssl.PROTOCOL_TLS_CLIENT, "client"), (ssl.PROTOCOL_TLS_SERVER, "server")):
        context = OURS(kind, fallback="openssl")
        leaf = (files() / f"{load}.pem").read_bytes()
        context.load_cert_chain(leaf)
        context.load_verify_locations(files() / "ca.pem")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE-ECDSA-AES128-SHA256")
        contexts.append(context)
    contexts[1].verify_mode = ssl.CERT_REQUIRED
    pair = paired(*contexts).exchange()
    assert pair.client.cipher()[0] == "ECDHE-ECDSA-AES128-SHA256" and pair.server.getpeercert()


def test_old_versions_are_named() -> None:
    with pytest.warns(DeprecationWarning):
        client = client_context(maximum_version=ssl.TLSVersion.TLSv1_1)
    with pytest.raises(ssl.SSLError, match="TLS 1.1"):
        Pair(client)
    with pytest.warns(DeprecationWarning):
        old = OURS(ssl.PROTOCOL_TLSv1)
    with pytest.raises(ssl.SSLError, match="TLS 1.0"):
        Pair(old, name=None)


def test_post_handshake_authentication_is_refused_in_words() -> None:
    server = server_context(post_handshake_auth=True, verify_mode=ssl.CERT_REQUIRED)
    with pytest.raises(ssl.SSLError, match="post-handshake client authentication"):
        Pair(server=server)
    pair = paired(client_context(post_handshake_auth=True))
    with pytest.raises(ssl.SSLError, match="post-handshake client authentication"):
        pair.server.verify_client_post_handshake()


# ---- The rest ----


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("server", [OURS, STANDARD])
def test_channel_bindings(server: Any, version: ssl.TLSVersion) -> None:
    pair = paired(client_context(maximum_version=version), server_context(server))
    unique = pair.client.get_channel_binding("tls-unique")
    assert (unique is None) is (version is ssl.TLSVersion.TLSv1_3)
    if unique is not None:
        assert unique == pair.server.get_channel_binding("tls-unique")
    if server is OURS:
        exported = pair.client.get_channel_binding("tls-exporter")
        assert len(exported) == 32 and exported == pair.server.get_channel_binding("tls-exporter")
    assert len(pair.client.get_channel_binding("tls-server-end-point")) == 32
    with pytest.raises(ValueError):
        pair.client.get_channel_binding("tls-nonsense")


def test_the_configuration_is_made_anew_when_a_setting_changes() -> None:
    client = client_context()
    config = client._tlsfast_config(False, NAME)
    assert client._tlsfast_config(False, "other.test") is config
    for change in (
        lambda: setattr(client, "options", client.options | ssl.OP_NO_TICKET),
        lambda: setattr(client, "check_hostname", False),
        lambda: client.set_alpn_protocols(["h2"]),
        lambda: client.load_cert_chain(files() / "client.pem"),
        lambda: client.load_verify_locations(files() / "server.pem"),
    ):
        change()
        before, config = config, client._tlsfast_config(False, NAME)
        assert config is not before
    assert config.session_cache is None and config.alpn == ("h2",) and config.insecure_skip_name_check


def test_num_tickets_and_key_log(tmp_path: Path) -> None:
    client, server = client_context(), server_context(num_tickets=0)
    client.keylog_filename = str(tmp_path / "keys")
    paired(client, server).exchange()
    assert not paired(client, server).exchange().client.session_reused
    labels = [line.split()[0] for line in (tmp_path / "keys").read_text().splitlines() if not line.startswith("#")]
    assert labels.count("CLIENT_TRAFFIC_SECRET_0") == 2


def test_inject_and_extract() -> None:
    program = """
import ssl, http.client, sys
from ssl import SSLContext
import tlsfast.ssl
tlsfast.ssl.inject()
assert ssl.SSLContext is tlsfast.ssl.SSLContext
assert SSLContext is tlsfast.ssl.SSLContext
context = ssl.create_default_context()
assert type(context) is tlsfast.ssl.SSLContext
context.options |= ssl.OP_NO_TICKET
context.verify_flags |= ssl.VERIFY_X509_STRICT
context.verify_mode = ssl.CERT_REQUIRED
context.minimum_version = ssl.TLSVersion.TLSv1_3
assert type(http.client.HTTPSConnection("localhost")._context) is tlsfast.ssl.SSLContext
tlsfast.ssl.extract()
assert type(ssl.create_default_context()) is ssl.SSLContext is not tlsfast.ssl.SSLContext
assert SSLContext is ssl.SSLContext
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, timeout=60)


def test_the_module_stands_in_for_the_standard_one() -> None:
    missing = [name for name in dir(ssl) if not hasattr(tlsfast.ssl, name)]
    assert missing == []
    assert tlsfast.ssl.SSLError is ssl.SSLError and tlsfast.ssl.SSLSocket is ssl.SSLSocket
    assert tlsfast.ssl.create_default_context is not ssl.create_default_context
