# SPDX-License-Identifier: Apache-2.0
"""Handshake messages: wire bytes to frozen dataclasses and back. Between record.py and the flows of handshake/ (RFC 8446, 4)."""
