# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the interop tests: the certificates, made once for the session."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("harness", "memory", "shared")  # before they are imported

from harness import Certificates  # noqa: E402  (its assertions are rewritten only after the line above)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))
