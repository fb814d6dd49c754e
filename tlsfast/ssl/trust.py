# SPDX-License-Identifier: Apache-2.0
"""What a context trusts: files, directories, bytes and the system's store, parsed once in a process and shared by its contexts, without OpenSSL."""

from __future__ import annotations

import functools
import hashlib
import os
import ssl
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tlsfast.certificates import pem, roots, signatures
from tlsfast.certificates.chaincache import ChainCache
from tlsfast.certificates.checks import Purpose, Question, fault
from tlsfast.certificates.diagnosis import explain
from tlsfast.certificates.names import describe_name, parse_name
from tlsfast.errors import CertificateError, ConfigurationError
from tlsfast.ssl.errors import make
from tlsfast.trust import Preset, TrustStore, VerifiedChain

_CRL_CHECK_LEAF: Final = int(ssl.VERIFY_CRL_CHECK_LEAF)
_CRL_CHECK_ALL: Final = int(ssl.VERIFY_CRL_CHECK_CHAIN) & ~_CRL_CHECK_LEAF
_STRICT: Final = int(ssl.VERIFY_X509_STRICT)


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """The certificates and revocation lists of one source."""

    certificates: tuple[x509.Certificate, ...] = ()
    crls: tuple[x509.CertificateRevocationList, ...] = ()


def pem_error(explanation: str) -> ssl.SSLError:
    """What the C code raises for PEM that it cannot use."""
    return make(ssl.SSLError, ssl.SSL_ERROR_SSL, f"[SSL] PEM lib ({explanation})", "SSL")


# ---- Sources ----


def from_file(path: str) -> Loaded:
    """The certificates and CRLs of a file; parsed anew when it changes."""
    try:
        state = os.stat(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    return _parsed(path, state.st_mtime_ns, state.st_size, state.st_ino)


@functools.lru_cache(maxsize=64)
def _parsed(path: str, changed: int, size: int, inode: int) -> Loaded:
    try:
        return _load(pem.read(Path(path), "trust store"))
    except ConfigurationError as error:
        raise pem_error(error.message) from None


def _load(material: pem.Material) -> Loaded:
    crls = []
    for block in material.blocks:
        if block.label == "X509 CRL":
            try:
                crls.append(x509.load_pem_x509_crl(block.text))
            except signatures.MALFORMED as error:
                raise ConfigurationError(f"{material.origin} holds a CRL that cannot be parsed: {error}") from None
    if crls and not any(block.is_certificate for block in material.blocks):
        return Loaded((), tuple(crls))
    return Loaded(tuple(roots.load(material, strict=False)), tuple(crls))


def from_directory(path: str) -> Loaded:
    """The certificates of a directory; nothing, as with OpenSSL, where there is none."""
    try:
        state = os.stat(path)
        names = sorted(os.listdir(path))
    except OSError:
        return Loaded()
    return _parsed_directory(path, tuple(names), state.st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _parsed_directory(path: str, names: tuple[str, ...], changed: int) -> Loaded:
    certificates: dict[x509.Certificate, None] = {}
    crls: list[x509.CertificateRevocationList] = []
    for file in dict.fromkeys(Path(path, name).resolve() for name in names):
        try:
            found = _load(pem.read(file, "trust store")) if file.is_file() else Loaded()
        except ConfigurationError:
            continue  # a README, a key: directories of roots hold such files
        certificates.update(dict.fromkeys(found.certificates))
        crls += found.crls
    return Loaded(tuple(certificates), tuple(crls))


def from_data(data: Any) -> Loaded:
    """cadata: PEM text, or DER certificates one after another."""
    if isinstance(data, str):
        return _from_text(data)
    try:
        view = bytes(memoryview(data))
    except TypeError:
        raise TypeError("cadata should be an ASCII string or a bytes-like object") from None
    found = []
    try:
        while view:
            length = _der_length(view)
            found.append(_certificate(view[:length]))
            view = view[length:]
    except (ValueError, IndexError) as error:
        text = f"not enough data: cadata does not contain a certificate ({error})"
        raise make(ssl.SSLError, ssl.SSL_ERROR_SSL, text) from None
    return Loaded(tuple(found))


def _from_text(text: str) -> Loaded:
    try:
        encoded = text.encode("ascii")
    except UnicodeEncodeError:
        raise TypeError("cadata should be an ASCII string or a bytes-like object") from None
    try:
        blocks = pem.read(encoded, "trust store").blocks
        found = tuple(_certificate(block.der()) for block in blocks if block.is_certificate)
    except (ConfigurationError, ValueError) as error:
        raise _no_certificate("no start line", str(error)) from None
    if not found:
        raise _no_certificate("no start line", "there is no CERTIFICATE block")
    return Loaded(found)


def _no_certificate(what: str, why: str) -> ssl.SSLError:
    text = f"{what}: cadata does not contain a certificate ({why})"
    return make(ssl.SSLError, ssl.SSL_ERROR_SSL, text)


def _certificate(der: bytes) -> x509.Certificate:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old roots have serial number 0
        try:
            certificate = x509.load_der_x509_certificate(der)
            signatures.read_parts(certificate)
            certificate.public_key()
        except signatures.MALFORMED as error:
            raise ValueError(str(error)) from None
    return certificate


def _der_length(data: bytes) -> int:
    """The length of the SEQUENCE at the beginning, header included (X.690, 8.1.3)."""
    if data[0] != 0x30:
        raise ValueError("this is no DER")
    first = data[1]
    if first < 0x80:
        length = 2 + first
    else:
        count = first & 0x7F
        if not 1 <= count <= 4:
            raise ValueError("this is no DER")
        length = 2 + count + int.from_bytes(data[2 : 2 + count])
    if length > len(data):
        raise ValueError("it is cut off")
    return length


# ---- The store of a context ----


class Anchors:
    """All that load_verify_locations and load_default_certs gave a context."""

    def __init__(self) -> None:
        self.system = False
        self.certificates: dict[x509.Certificate, None] = {}
        self.crls: list[x509.CertificateRevocationList] = []
        self.directories: list[str] = []
        self.used: dict[bytes, None] = {}  # from directories, which are searched on request: those that ended a path
        self.revision = 0

    def add(self, found: Loaded) -> None:
        self.certificates.update(dict.fromkeys(found.certificates))
        self.crls += found.crls
        self.revision += 1

    def add_directory(self, path: str) -> None:
        self.directories.append(path)
        self.revision += 1

    def add_defaults(self) -> None:
        """What SSL_CERT_FILE and SSL_CERT_DIR name, else the system's roots. As with OpenSSL, what is not there is no error."""
        file, directory = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
        if file is None and directory is None:
            self.system = True
            self.revision += 1
            return
        if file:
            try:
                self.add(from_file(file))
            except OSError:
                pass
        for each in filter(None, (directory or "").split(os.pathsep)):
            self.add_directory(each)

    def listed(self) -> list[bytes]:
        """DER of what cert_store_stats counts: not what still lies in directories."""
        ders = [_der(each) for each in (*_system_roots(self.system), *self.certificates)]
        return list(dict.fromkeys([*ders, *self.used]))

    def store(self, flags: int, verified: Callable[[bytes], object]) -> TrustStore:
        """The store to verify by, under these verify_flags. verified is told the root of a path that directories gave."""
        preset: Preset = "webpki" if flags & _STRICT else "compat"
        checked = bool(flags & (_CRL_CHECK_LEAF | _CRL_CHECK_ALL))
        searched = [from_directory(path) for path in self.directories]
        crls = [*self.crls, *(crl for found in searched for crl in found.crls)] if checked else []
        ordered = dict.fromkeys(
            [*self.certificates, *(certificate for found in searched for certificate in found.certificates)]
        )
        inner = _store(
            self.system, tuple(map(_der, ordered)), tuple(crl.public_bytes(Encoding.DER) for crl in crls), preset
        )
        on_request = frozenset(_der(each) for found in searched for each in found.certificates)
        if inner is not None and not checked and not on_request:
            return inner
        return _ContextTrust(inner, crls, flags if checked else 0, on_request, verified)


def _system_roots(wanted: bool) -> Sequence[x509.Certificate]:
    if not wanted:
        return ()
    try:
        return _read_system()
    except ConfigurationError:
        return ()


@functools.cache
def _read_system() -> Sequence[x509.Certificate]:
    return tuple(roots.system("", ""))


@functools.lru_cache(maxsize=1024)
def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


@functools.lru_cache(maxsize=32)
def _store(system: bool, ders: tuple[bytes, ...], crls: tuple[bytes, ...], preset: Preset) -> TrustStore | None:
    """One store for all contexts with the same anchors; None without any."""
    if system and not ders and not crls:
        try:
            return TrustStore.system(preset=preset)
        except ConfigurationError:
            return None
    certificates = [*_system_roots(system), *map(_certificate, ders)]
    return TrustStore(certificates, crls=crls, preset=preset) if certificates else None


class _ContextTrust(TrustStore):
    """A store with what contexts know and a TrustStore does not: an empty one, lists that must be there, anchors that are found on request."""

    __slots__ = ("_found", "_identity", "_inner", "_issuers", "_on_request", "_required")

    def __init__(
        self,
        inner: TrustStore | None,
        crls: Sequence[x509.CertificateRevocationList],
        required: int,
        on_request: frozenset[bytes],
        found: Callable[[bytes], object],
    ) -> None:
        self._inner = inner
        self._issuers = frozenset(crl.issuer for crl in crls)
        self._required = required
        self._on_request = on_request
        self._found = found
        digest = inner.digest if inner is not None else b""
        self._identity = hashlib.sha256(b"context" + digest + required.to_bytes(8)).digest()

    @property
    def digest(self) -> bytes:
        return self._identity

    @property
    def preset(self) -> Preset:
        return self._inner.preset if self._inner is not None else "compat"

    @property
    def subjects(self) -> tuple[bytes, ...]:
        return self._inner.subjects if self._inner is not None else ()

    def __len__(self) -> int:
        return len(self._inner) if self._inner is not None else 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TrustStore) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"<trust of a context: {self._inner or 'nothing'}>"

    def verify_server(
        self,
        chain: Sequence[bytes],
        name: str | None,
        *,
        ocsp_response: bytes | None = None,
        at: datetime | None = None,
        transports_keys: bool = False,
        cache: ChainCache | None = None,
    ) -> VerifiedChain:
        if self._inner is None:
            raise self._nobody(chain, Purpose.SERVER, name)
        verified = self._inner.verify_server(
            chain, name, ocsp_response=ocsp_response, at=at, transports_keys=transports_keys, cache=cache
        )
        return self._accept(verified)

    def verify_client(
        self, chain: Sequence[bytes], *, at: datetime | None = None, cache: ChainCache | None = None
    ) -> VerifiedChain:
        if self._inner is None:
            raise self._nobody(chain, Purpose.CLIENT, None)
        return self._accept(self._inner.verify_client(chain, at=at, cache=cache))

    def _nobody(self, chain: Sequence[bytes], purpose: Purpose, name: str | None) -> CertificateError:
        """Nothing is trusted: the words say what of the chain would have to be."""
        sent = [signatures.load_certificate(der) for der in chain]
        question = Question(purpose, datetime.now().astimezone(), parse_name(name) if name is not None else None, True)
        return explain(sent, [], question, "nothing is trusted", lambda: False)

    def _accept(self, verified: VerifiedChain) -> VerifiedChain:
        path = verified.path
        if self._required:
            depth = len(path) - 1 if self._required & _CRL_CHECK_ALL else 1
            for index, der in enumerate(path[: min(depth, len(path) - 1)]):
                self._require_list(signatures.load_certificate(der), index)
        if path[-1] in self._on_request:
            self._found(path[-1])
        return verified

    def _require_list(self, certificate: x509.Certificate, depth: int) -> None:
        """verify_flags ask for a CRL: without one of the issuer there is no trust. Whether it is good, the store has checked."""
        if certificate.issuer not in self._issuers:
            what = f"cannot be checked for revocation: no CRL of {describe_name(certificate.issuer)} is loaded"
            mend = "load the CA's current list with load_verify_locations, or clear VERIFY_CRL_CHECK_*"
            raise fault(CertificateError, certificate, depth, "CRL missing", what, mend)
