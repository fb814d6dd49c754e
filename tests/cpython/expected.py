# SPDX-License-Identifier: Apache-2.0
"""The tests of CPython that fail under tlsfast's context, each with its reason: a thing that tlsfast refuses on purpose. run.py reads it."""

from __future__ import annotations

import sys
from typing import Final

POST_HANDSHAKE: Final = (
    "post-handshake client authentication is refused: a client is asked in the handshake, or by a second connection"
)
TLS_UNIQUE: Final = (
    "tls-unique is not defined for TLS 1.3 (RFC 8446, C.5): there is tls-exporter, and tls-unique in TLS 1.2"
)
DHE: Final = "finite-field DHE is not done: the cipher list names nothing else"
PSK: Final = "external pre-shared keys are refused"

_AUTH: Final = "test.test_ssl.TestPostHandshakeAuth."

# Test id -> reason, on every version of Python that has the test.
EXPECTED: Final[dict[str, str]] = {
    "test.test_ssl.ThreadedTests.test_dh_params": DHE,
    "test.test_ssl.ThreadedTests.test_psk": PSK,
    "test.test_ssl.ThreadedTests.test_psk_tls1_3": PSK,
    _AUTH + "test_bpo37428_pha_cert_none": POST_HANDSHAKE,
    _AUTH + "test_pha_no_pha_client": POST_HANDSHAKE,
    _AUTH + "test_pha_optional": POST_HANDSHAKE,
    _AUTH + "test_pha_optional_nocert": POST_HANDSHAKE,
    _AUTH + "test_pha_required": POST_HANDSHAKE,
    _AUTH + "test_pha_required_nocert": POST_HANDSHAKE,
}
if sys.version_info < (3, 13):
    # Since then these tests ask for tls-unique in TLS 1.2 alone.
    EXPECTED |= {
        "test.test_ssl.SimpleBackgroundTests.test_bio_handshake": TLS_UNIQUE,
        "test.test_ssl.ThreadedTests.test_tls_unique_channel_binding": TLS_UNIQUE,
    }
