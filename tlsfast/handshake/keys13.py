# SPDX-License-Identifier: Apache-2.0
"""The key schedule of TLS 1.3 in the flows: each step at its point of the transcript, and the observer told (RFC 8446, 7.1).

The steps have an order, which the C core keeps: each can be made once, after the one before."""

from __future__ import annotations

from dataclasses import dataclass

from tlsfast import crypto
from tlsfast.crypto import (
    CLIENT_APPLICATION,
    CLIENT_HANDSHAKE,
    EXPORTER,
    SERVER_APPLICATION,
    SERVER_HANDSHAKE,
    KeySchedule,
    Secret,
    Suite,
)
from tlsfast.handshake.flow import Handshake


@dataclass(frozen=True, slots=True)
class Exporter13:
    """RFC 8446, 7.5; without a context it is as an empty one."""

    schedule: KeySchedule

    def export(self, label: bytes, context: bytes | None, length: int) -> bytes:
        return crypto.export(self.schedule.suite.hash, self.schedule.secret(EXPORTER), label, context or b"", length)


def handshake_secrets(hs: Handshake, suite: Suite, psk: Secret | None, shared: Secret) -> KeySchedule:
    """From the PSK, if any, and the (EC)DHE secret, at the transcript ClientHello..ServerHello."""
    schedule = crypto.KeySchedule(suite)
    schedule.handshake(psk, shared, hs.transcript.digest())
    if hs.observers is not None:
        hs.derived("CLIENT_HANDSHAKE_TRAFFIC_SECRET", schedule.secret(CLIENT_HANDSHAKE))
        hs.derived("SERVER_HANDSHAKE_TRAFFIC_SECRET", schedule.secret(SERVER_HANDSHAKE))
    return schedule


def application_secrets(hs: Handshake, schedule: KeySchedule) -> None:
    """At the transcript ClientHello..server Finished."""
    schedule.application(hs.transcript.digest())
    if hs.observers is not None:
        hs.derived("CLIENT_TRAFFIC_SECRET_0", schedule.secret(CLIENT_APPLICATION))
        hs.derived("SERVER_TRAFFIC_SECRET_0", schedule.secret(SERVER_APPLICATION))
        hs.derived("EXPORTER_SECRET", schedule.secret(EXPORTER))


def resumption_master_secret(hs: Handshake, schedule: KeySchedule) -> None:
    """At the transcript ClientHello..client Finished: the handshake's own secrets end here."""
    schedule.resumption(hs.transcript.digest())
