# SPDX-License-Identifier: Apache-2.0
"""The drop-in beneath the standard ssl module: all its names, with contexts whose connections are tlsfast's."""

from __future__ import annotations

import ssl as _standard
from ssl import *  # noqa: F403  # every public name of the module that this one stands in for
from typing import Any

from tlsfast.ssl.certs import Certificate as Certificate
from tlsfast.ssl.context import SSLContext as SSLContext
from tlsfast.ssl.engine import CHANNEL_BINDING_TYPES as CHANNEL_BINDING_TYPES
from tlsfast.ssl.inject import extract as extract
from tlsfast.ssl.inject import inject as inject
from tlsfast.ssl.make import _create_default_https_context as _create_default_https_context
from tlsfast.ssl.make import _create_stdlib_context as _create_stdlib_context
from tlsfast.ssl.make import _create_unverified_context as _create_unverified_context
from tlsfast.ssl.make import create_default_context as create_default_context
from tlsfast.ssl.make import get_server_certificate as get_server_certificate
from tlsfast.ssl.make import wrap_socket as wrap_socket
from tlsfast.ssl.session import SSLSession as SSLSession  # type: ignore[assignment]  # the standard one cannot be made


def __getattr__(name: str) -> Any:
    """What the standard module has beside its public names."""
    return getattr(_standard, name)
