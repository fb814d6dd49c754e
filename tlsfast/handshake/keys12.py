# SPDX-License-Identifier: Apache-2.0
"""The key schedule of TLS 1.2: premaster secret, master secret, key block, Finished, exporters (RFC 5246, 6.3, 8.1; RFC 7627; RFC 5705)."""

from __future__ import annotations

from dataclasses import dataclass

from tlsfast import crypto
from tlsfast.crypto import Secret, Suite12
from tlsfast.errors import ApiMisuse, DecryptError
from tlsfast.handshake.flow import Handshake
from tlsfast.messages.handshake12 import Finished12

CLIENT_FINISHED = b"client finished"
SERVER_FINISHED = b"server finished"


@dataclass(frozen=True, slots=True)
class Session12:
    """What both sides share once the key exchange is done."""

    suite: Suite12
    master: Secret
    client_random: bytes
    server_random: bytes
    extended: bool

    def key_block(self) -> Secret:
        """RFC 5246, 6.3: the keys and IVs of both sides; note the order of the randoms."""
        length = 2 * (self.suite.key_length + self.suite.iv_length)
        return crypto.prf12(
            self.suite.hash, self.master, b"key expansion", self.server_random + self.client_random, length
        )

    def verify_data(self, label: bytes, transcript_hash: bytes) -> bytes:
        """RFC 5246, 7.4.9."""
        return crypto.finished12(self.suite.hash, self.master, label, transcript_hash)

    def export(self, label: bytes, context: bytes | None, length: int) -> bytes:
        """RFC 5705, 4; refused without extended master secret, which alone binds it to this connection (RFC 7627, 5.4)."""
        if not self.extended:
            raise ApiMisuse(
                "exporters need extended_master_secret in TLS 1.2, which the peer does not have (RFC 7627, 5.4)"
            )
        seed = self.client_random + self.server_random
        if context is not None:
            if len(context) > 0xFFFF:
                raise ApiMisuse(
                    f"the context of a TLS 1.2 exporter has at most 65535 bytes, not {len(context)}: hash it"
                )
            seed += len(context).to_bytes(2) + context
        return crypto.export12(self.suite.hash, self.master, label, seed, length)


def extended_master_secret(suite: Suite12, premaster: Secret, session_hash: bytes) -> Secret:
    """RFC 7627, 4: session_hash covers ClientHello..ClientKeyExchange."""
    master = crypto.prf12(suite.hash, premaster, b"extended master secret", session_hash, 48)
    premaster.wipe()
    return master


def legacy_master_secret(suite: Suite12, premaster: Secret, client_random: bytes, server_random: bytes) -> Secret:
    """RFC 5246, 8.1."""
    master = crypto.prf12(suite.hash, premaster, b"master secret", client_random + server_random, 48)
    premaster.wipe()
    return master


def master_secret(
    hs: Handshake, suite: Suite12, premaster: Secret, server_random: bytes, *, extended: bool
) -> Session12:
    """Right after ClientKeyExchange entered the transcript."""
    if extended:
        master = extended_master_secret(suite, premaster, hs.transcript.digest())
    else:
        master = legacy_master_secret(suite, premaster, hs.client_random, server_random)
    hs.derived("CLIENT_RANDOM", master)
    return Session12(suite, master, hs.client_random, server_random, extended)


def send_finished(hs: Handshake, session: Session12, label: bytes) -> bytes:
    """Send Finished; its verify_data, which is tls-unique if it is the handshake's first."""
    verify_data = session.verify_data(label, hs.transcript.digest())
    hs.send(Finished12(verify_data))
    return verify_data


def check_finished(hs: Handshake, session: Session12, label: bytes, message: Finished12) -> bytes:
    """Check the peer's Finished; its verify_data."""
    if not crypto.equal(session.verify_data(label, hs.transcript.before), message.verify_data):
        # RFC 5246, 7.4.9: verified by the recipient; 7.2.2: decrypt_error
        raise DecryptError("Finished does not match: the two sides saw different handshakes")
    return message.verify_data
