# SPDX-License-Identifier: Apache-2.0
"""The key schedule of TLS 1.3 as stages of different types: each can be made only from the one before (RFC 8446, 7.1)."""

from __future__ import annotations

from dataclasses import dataclass

from tlsfast import crypto
from tlsfast.crypto import Secret, Suite
from tlsfast.handshake.flow import Handshake


@dataclass(frozen=True, slots=True)
class HandshakeSecrets:
    """The stage after ServerHello."""

    suite: Suite
    handshake: Secret
    client: Secret
    server: Secret


@dataclass(frozen=True, slots=True)
class ApplicationSecrets:
    """The stage after the server's Finished."""

    suite: Suite
    master: Secret
    client: Secret
    server: Secret
    exporter: Secret


@dataclass(frozen=True, slots=True)
class Exporter13:
    """RFC 8446, 7.5; without a context it is as an empty one."""

    hash: int
    secret: Secret

    def export(self, label: bytes, context: bytes | None, length: int) -> bytes:
        return crypto.export(self.hash, self.secret, label, context or b"", length)


def handshake_secrets(hs: Handshake, suite: Suite, psk: Secret | None, shared: Secret) -> HandshakeSecrets:
    """From the PSK, if any, and the (EC)DHE secret, at the transcript ClientHello..ServerHello."""
    early = crypto.early_secret(suite.hash, psk)
    handshake, client, server = crypto.handshake_secrets(suite.hash, early, shared, hs.transcript.digest())
    early.wipe()
    shared.wipe()
    hs.derived("CLIENT_HANDSHAKE_TRAFFIC_SECRET", client)
    hs.derived("SERVER_HANDSHAKE_TRAFFIC_SECRET", server)
    return HandshakeSecrets(suite, handshake, client, server)


def application_secrets(hs: Handshake, secrets: HandshakeSecrets) -> ApplicationSecrets:
    """At the transcript ClientHello..server Finished."""
    suite = secrets.suite
    master, client, server, exporter = crypto.application_secrets(suite.hash, secrets.handshake, hs.transcript.digest())
    secrets.handshake.wipe()
    hs.derived("CLIENT_TRAFFIC_SECRET_0", client)
    hs.derived("SERVER_TRAFFIC_SECRET_0", server)
    hs.derived("EXPORTER_SECRET", exporter)
    return ApplicationSecrets(suite, master, client, server, exporter)


def resumption_master_secret(hs: Handshake, secrets: ApplicationSecrets) -> Secret:
    """At the transcript ClientHello..client Finished."""
    resumption = crypto.derive_secret(secrets.suite.hash, secrets.master, b"res master", hs.transcript.digest())
    secrets.master.wipe()
    return resumption
