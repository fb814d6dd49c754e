# SPDX-License-Identifier: Apache-2.0
"""python -m tlsfast.cli: the command line without its script."""

from tlsfast.cli import main

if __name__ == "__main__":
    main()
