# SPDX-License-Identifier: Apache-2.0
"""Configurations: what replace() carries over, what is refused when they are made, and what an unusual one does in a handshake."""

from __future__ import annotations

import pytest
from pair import NAME, client_config, credential, make_pair, server_config, trust

import tlsfast
from tlsfast import CipherSuite, ConfigurationError, NamedGroup, TLSVersion

SUITE_13, SUITE_12 = CipherSuite.TLS_AES_128_GCM_SHA256, CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256


# ---- replace ----


def test_what_was_left_to_a_default_follows_a_change() -> None:
    """The default of versions depends on cipher_suites, that of key_shares on groups: neither is carried over as if it had been given."""
    config = tlsfast.ClientConfig(trust=trust(), keylog=None)
    assert config.replace(cipher_suites=[SUITE_13]).versions == (TLSVersion.TLSv1_3,)
    assert (
        config.replace(cipher_suites=[SUITE_12]).replace(cipher_suites=[SUITE_13, SUITE_12]).versions == config.versions
    )
    assert config.replace(groups=["secp384r1"]).key_shares == (NamedGroup.secp384r1,)


def test_what_was_given_stays_given() -> None:
    config = tlsfast.ClientConfig(trust=trust(), keylog=None, versions=[TLSVersion.TLSv1_2], key_shares=["secp256r1"])
    assert config.replace(alpn=["h2"]).versions == (TLSVersion.TLSv1_2,)
    assert config.replace(alpn=["h2"]).key_shares == (NamedGroup.secp256r1,)
    with pytest.raises(ConfigurationError, match="no suite of it"):
        config.replace(cipher_suites=[SUITE_13])
    with pytest.raises(ConfigurationError, match="key_shares names"):
        config.replace(groups=["x25519"])


# ---- Refused when they are made ----


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"alpn": "h2"}, r"\['h2'\]"),
        ({"trust": "ca.pem"}, "TrustStore.from_file"),
        ({"credentials": ["chain.pem"]}, "Credential.load"),
        ({"max_handshake_size": 0}, "1 or more"),
        ({"max_client_hello_size": -1}, "1 or more"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_could_not_work_is_refused(changes: dict[str, object], words: str) -> None:
    for kind, needed in ((tlsfast.ClientConfig, {}), (tlsfast.ServerConfig, {"credentials": [credential()]})):
        with pytest.raises(ConfigurationError, match=words):
            kind(**{"keylog": None, **needed, **changes})


def test_a_negative_budget_of_early_data_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="early_data_budget"):
        server_config(early_data_budget=-1)


# ---- An empty key_share (RFC 8446, 4.2.8) ----


def test_a_client_may_send_no_key_share() -> None:
    """The server names the group, and the handshake takes a round trip more; a session then resumes so too."""
    client, server = client_config(key_shares=[]), server_config(groups=["secp384r1"])
    assert client.key_shares == () and client.replace(alpn=[]).key_shares == ()
    for resumed in (False, True):
        seen: list[tlsfast.events.Observation] = []
        pair = make_pair(client, server.replace(tickets=server.keyring, observer=seen.append)).run()
        assert pair.client_completed().group is NamedGroup.secp384r1
        assert pair.client_completed().resumed is resumed
        assert sum(isinstance(each, tlsfast.events.Decided) and each.what == "hello_retry" for each in seen) == 1
    assert client.session_key(NAME)
