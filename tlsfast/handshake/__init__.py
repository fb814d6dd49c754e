# SPDX-License-Identifier: Apache-2.0
"""The handshake flows: each a generator in wire order, which driver.py drives."""
