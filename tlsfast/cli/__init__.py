# SPDX-License-Identifier: Apache-2.0
"""The command line: connect, serve and demo, over the library's public names."""

from __future__ import annotations

import sys

from tlsfast.errors import MissingDependency


def main() -> None:
    """Run the command line; without the extra that it needs, say so in one sentence."""
    try:
        # Here, not above: these need packages that the library itself does without.
        from tlsfast.cli.app import run
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.startswith("tlsfast"):
            raise
        lacking = MissingDependency(
            f'the command line needs the package {missing.name}, which is not installed: pip install "tlsfast[cli]"'
        )
        print(f"tlsfast: {lacking}", file=sys.stderr)
        sys.exit(2)
    sys.exit(run())
