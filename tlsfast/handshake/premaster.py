# SPDX-License-Identifier: Apache-2.0
"""The server's side of RSA key transport: no padding oracle (RFC 5246, 7.4.7.1; Bleichenbacher, ROBOT). Step 5 of the nine."""

from __future__ import annotations

from tlsfast import crypto
from tlsfast.credentials import Credential
from tlsfast.crypto import Secret
from tlsfast.events import DecryptPremaster
from tlsfast.handshake.flow import Step, ask


def decrypt_premaster(credential: Credential, ciphertext: bytes, client_version: int) -> Step[Secret]:
    """The premaster secret, or a random one of which nobody can tell: a wrong one shows at Finished alone, as bad_record_mac.

    The random one is made first; what decryption gives, whatever it is, goes straight to one C call that chooses by masks. An exception is caught
    here because it would be an oracle: what is left to raise one are public facts, the ciphertext's length and that it is below the modulus."""
    random_premaster = Secret.random(48)
    decrypted: object = b""
    try:
        if credential.can_decrypt:
            decrypted = credential.decrypt(ciphertext)
        else:
            decrypted = yield from ask(DecryptPremaster(ciphertext, credential))
    except Exception:
        decrypted = b""
    plain = decrypted if isinstance(decrypted, bytes) else b""
    return crypto.premaster_select(plain, client_version, random_premaster)
