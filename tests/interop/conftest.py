# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the interop tests: the certificates, made once for the session."""

from __future__ import annotations

import pytest
from harness import Certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))
