# SPDX-License-Identifier: Apache-2.0
"""Where trusted roots come from: files, the operating system, SSL_CERT_FILE and SSL_CERT_DIR, the certifi package; trust.TrustStore holds them."""

from __future__ import annotations

import importlib
import os
import re
import sys
import warnings
from pathlib import Path

from cryptography import x509

from tlsfast.certificates import pem, signatures
from tlsfast.errors import ConfigurationError, MissingDependency

# Where systems keep their bundle of roots: the first that exists is used.
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Gentoo
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",  # older Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS, OpenBSD
    "/usr/local/share/certs/ca-root-nss.crt",  # FreeBSD
)

# The names that `openssl rehash` gives.
_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")


def load(material: pem.Material, *, strict: bool) -> list[x509.Certificate]:
    """Parse the certificates of a bundle. strict: a malformed one is an error; else it is left out: a system's bundle is not the user's work."""
    roots = []
    blocks = [b for b in material.blocks if b.is_certificate or not b.label]
    with warnings.catch_warnings():
        # Old public roots have serial number 0, which cryptography warns of.
        warnings.simplefilter("ignore")
        for number, block in enumerate(blocks, 1):
            try:
                root = x509.load_der_x509_certificate(block.der())
                signatures.read_parts(root)
                _ = root.public_key()
            except signatures.MALFORMED as error:
                if strict:
                    raise ConfigurationError(
                        f"{material.origin}: certificate {number} cannot be used: {error}"
                    ) from None
                continue
            roots.append(root)
    if not roots:
        raise ConfigurationError(f"{material.origin} holds no certificate; it holds: {material.found()}")
    return roots


def certifi() -> list[x509.Certificate]:
    try:
        # Optional, and so not among the imports of this library.
        package = importlib.import_module("certifi")
    except ImportError:
        raise MissingDependency(
            "TrustStore.certifi() needs the certifi package: pip install certifi, or use TrustStore.system()"
        ) from None
    return load(pem.read(Path(package.where()), "certifi bundle"), strict=False)


def system(file: str, directory: str) -> list[x509.Certificate]:
    if file or directory:
        return _from_environment(file, directory)
    if sys.platform == "win32":
        return _from_windows()
    bundle = next((path for path in _BUNDLES if os.path.isfile(path)), None)
    if bundle is None:
        raise ConfigurationError(
            f"no bundle of trusted roots was found (looked for {', '.join(_BUNDLES)}): install the ca-certificates package, "
            "or set SSL_CERT_FILE, or use TrustStore.certifi()"
        )
    return load(pem.read(Path(bundle), "trust store"), strict=False)


def _from_environment(file: str, directory: str) -> list[x509.Certificate]:
    roots = []
    if file:
        if not os.path.isfile(file):
            raise ConfigurationError(
                f"SSL_CERT_FILE names {file}, which is not a file: set it to a bundle of roots in PEM, or unset it"
            )
        roots += load(pem.read(Path(file), "trust store (SSL_CERT_FILE)"), strict=False)
    for folder in filter(None, directory.split(os.pathsep)):
        if not os.path.isdir(folder):
            raise ConfigurationError(
                f"SSL_CERT_DIR names {folder}, which is not a directory: set it to one with roots in PEM, or unset it"
            )
        for path in _certificate_files(folder):
            try:
                roots += load(pem.read(path, "trust store (SSL_CERT_DIR)"), strict=False)
            except ConfigurationError:
                continue  # a README, a CRL, a key: directories of roots hold such files
    if not roots:
        raise ConfigurationError(
            f"SSL_CERT_DIR names {directory}, where no file holds a certificate: set it to roots in PEM, or unset it"
        )
    return roots


def _certificate_files(folder: str) -> list[Path]:
    """List the files that OpenSSL would look at, <hash>.<number>, each once; or all, if the directory was never hashed."""
    files = [path for path in sorted(Path(folder).iterdir()) if path.is_file()]
    hashed = [path for path in files if _HASHED.fullmatch(path.name)]
    return list(dict.fromkeys(path.resolve() for path in hashed or files))


def _from_windows() -> list[x509.Certificate]:
    if sys.platform != "win32":
        raise ConfigurationError("the certificate store of Windows is on Windows only")
    import ssl

    blocks = tuple(
        pem.Block("", der)
        # The store named CA holds intermediates: they are not to be trusted as roots.
        for der, encoding, trust in ssl.enum_certificates("ROOT")
        if encoding == "x509_asn" and (trust is True or "1.3.6.1.5.5.7.3.1" in trust)
    )
    if not blocks:
        raise ConfigurationError(
            "the Windows certificate store holds no root for TLS servers: use TrustStore.certifi()"
        )
    return load(pem.Material(blocks, "the Windows certificate store"), strict=False)
