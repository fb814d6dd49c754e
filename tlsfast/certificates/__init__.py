# SPDX-License-Identifier: Apache-2.0
"""Reading, naming, checking and explaining X.509 certificates: what credentials (ours) and trust (the peer's) share."""
