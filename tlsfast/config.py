# SPDX-License-Identifier: Apache-2.0
"""ClientConfig and ServerConfig: frozen, validated once, shared by threads and connections."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal, Self

from tlsfast import crypto
from tlsfast.certificates.chaincache import ChainCache
from tlsfast.credentials import Credential
from tlsfast.errors import ConfigurationError
from tlsfast.events import Observation
from tlsfast.keylog import KeyLog, KeyLogTarget, key_log_from_environment
from tlsfast.keyshare import CURVES, GROUPS, default_key_shares
from tlsfast.registry import CipherSuite, NamedGroup, SignatureScheme, TLSVersion
from tlsfast.sessions import Keyring, MemorySessionStore, SessionCache, SessionStore, TicketKeyring
from tlsfast.trust import TrustStore


class _Marker(Enum):
    default = "default"
    ask = "ask"

    def __repr__(self) -> str:
        return self.name


DEFAULT: Final = _Marker.default
#: In place of a callable (verify, on_client_hello): the question comes out as an event, and conn.answer() answers it.
ASK: Final = _Marker.ask

Observer = Callable[[Observation], object]
# verify, on_client_hello and an external credential's signer may be coroutine functions: then tlsfast.aio alone can answer them.
ClientHelloHook = Callable[[Any], "ServerConfig | None | Coroutine[Any, Any, ServerConfig | None]"]

SIGNATURE_SCHEMES_13: Final = (
    SignatureScheme.ecdsa_secp256r1_sha256,
    SignatureScheme.ed25519,
    SignatureScheme.ecdsa_secp384r1_sha384,
    SignatureScheme.rsa_pss_rsae_sha256,
    SignatureScheme.rsa_pss_rsae_sha384,
    SignatureScheme.rsa_pss_rsae_sha512,
    SignatureScheme.rsa_pss_pss_sha256,
    SignatureScheme.rsa_pss_pss_sha384,
    SignatureScheme.rsa_pss_pss_sha512,
)
# TLS 1.2 has PKCS#1 v1.5 signatures too (RFC 5246, 7.4.1.4.1); never with SHA-1.
SIGNATURE_SCHEMES: Final = (
    *SIGNATURE_SCHEMES_13,
    SignatureScheme.rsa_pkcs1_sha256,
    SignatureScheme.rsa_pkcs1_sha384,
    SignatureScheme.rsa_pkcs1_sha512,
)
# In certificates PKCS#1 v1.5 signatures are still what most RSA authorities make (RFC 8446, 4.2.3).
CERTIFICATE_SIGNATURE_SCHEMES: Final = (*SIGNATURE_SCHEMES, SignatureScheme.ecdsa_secp521r1_sha512)
_AES: Final = (
    CipherSuite.TLS_AES_128_GCM_SHA256,
    CipherSuite.TLS_AES_256_GCM_SHA384,
)
_CHACHA20: Final = (CipherSuite.TLS_CHACHA20_POLY1305_SHA256,)
_AES_12: Final = (
    CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    CipherSuite.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
)
_CHACHA20_12: Final = (
    CipherSuite.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
)


# Where the order of the suites was left to one of these, a server lets a client that leads with ChaCha20 have it (negotiate.common_suites).
DEFAULT_ORDERS: Final = (
    (*_AES, *_CHACHA20, *_AES_12, *_CHACHA20_12),
    (*_CHACHA20, *_AES, *_CHACHA20_12, *_AES_12),
)


def default_suites() -> tuple[CipherSuite, ...]:
    """AES first where the CPU has instructions for it, else ChaCha20 first; static RSA never."""
    return DEFAULT_ORDERS[0 if crypto.has_aes() else 1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """What client and server share. All lists are in preference order (and become tuples); every default is safe.

    trust: whom to believe (client default: the system's store). credentials: our certificates with their keys. alpn: protocol names.
    verify: called with a VerifyChain request after the chain was verified, in resumed sessions too; it raises to refuse; or ASK. observer: called
    with each Observation, by the thread that receives or sends. keylog: a path, a callable given each line, None for none; the default honours
    SSLKEYLOGFILE. record_size_limit: the largest record content we take, 64..16385 (RFC 8449), None to not send it. max_handshake_size,
    max_client_hello_size: bytes of one message. versions: by default those of which cipher_suites has one. require_extended_master_secret: refuse
    TLS 1.2 without it (RFC 7627). chain_cache: a ChainCache that spares verifying a peer's chain again within minutes, None to verify each anew; by
    default each configuration has one of its own."""

    trust: TrustStore | None = None
    credentials: Sequence[Credential] = ()
    alpn: Sequence[str] = ()
    versions: Sequence[TLSVersion] = ()
    cipher_suites: Sequence[CipherSuite] = field(default_factory=default_suites)
    groups: Sequence[NamedGroup] = GROUPS
    signature_schemes: Sequence[SignatureScheme] = SIGNATURE_SCHEMES
    verify: Callable[[Any], object] | Literal[_Marker.ask] | None = None
    observer: Observer | None = None
    keylog: KeyLogTarget | Literal[_Marker.default] | None = DEFAULT
    record_size_limit: int | None = None
    max_handshake_size: int = 128 * 1024
    max_client_hello_size: int = 64 * 1024
    middlebox_compatibility: bool = True
    require_extended_master_secret: bool = True
    chain_cache: ChainCache | Literal[_Marker.default] | None = DEFAULT
    _chains: ChainCache | None = field(default=None, init=False, repr=False, compare=False)
    _keylog: KeyLog | None = field(default=None, init=False, repr=False, compare=False)
    _derived: tuple[str, ...] = field(default=(), init=False, repr=False, compare=False)  # fields that were not given

    def __post_init__(self) -> None:
        credentials = self.credentials
        self._set("credentials", (credentials,) if isinstance(credentials, Credential) else tuple(credentials))
        if isinstance(self.alpn, str):
            raise ConfigurationError(f"alpn is a list of protocol names: [{self.alpn!r}]")
        self._set("alpn", tuple(self.alpn))
        self._check_kinds()
        for name, kind in (
            ("cipher_suites", CipherSuite),
            ("groups", NamedGroup),
            ("signature_schemes", SignatureScheme),
        ):
            self._set(name, _enumerated(name, kind, getattr(self, name)))
        self._set("versions", tuple(self.versions))
        if not self.versions:
            self._set("_derived", (*self._derived, "versions"))
        self._set("versions", _versions(self.versions, self.cipher_suites))
        for group in self.groups:
            if group not in GROUPS:
                raise ConfigurationError(f"the group {group.name} is not supported")
        if TLSVersion.TLSv1_3 not in self.versions and not CURVES.intersection(self.groups):
            raise ConfigurationError(
                "groups names hybrids alone, which TLS 1.2 does not know: add a curve, such as x25519"
            )
        for scheme in self.signature_schemes:
            if scheme not in SIGNATURE_SCHEMES:
                raise ConfigurationError(f"{scheme.name} may not sign a handshake")
        for protocol in self.alpn:
            if not isinstance(protocol, str) or not 1 <= len(protocol.encode()) <= 255:
                raise ConfigurationError(f"an ALPN protocol is a string of 1 to 255 bytes, not {protocol!r}")
        if self.record_size_limit is not None and not 64 <= self.record_size_limit <= 16385:
            raise ConfigurationError("record_size_limit lies between 64 and 16385 (RFC 8449, 4)")
        self._set("_chains", ChainCache() if isinstance(self.chain_cache, _Marker) else self.chain_cache)
        if isinstance(self.keylog, _Marker):
            self._set("_keylog", key_log_from_environment())
        elif self.keylog is not None:
            self._set("_keylog", KeyLog(self.keylog))

    def _check_kinds(self) -> None:
        """What would else come to light in the first handshake only."""
        if self.trust is not None and not isinstance(self.trust, TrustStore):
            raise ConfigurationError(
                f"trust is a {type(self.trust).__name__}: give a TrustStore, as TrustStore.from_file(path) makes it"
            )
        for credential in self.credentials:
            if not isinstance(credential, Credential):
                raise ConfigurationError(
                    f"a credential is a {type(credential).__name__}: give what Credential.load(chain, key) returns"
                )
        if min(self.max_handshake_size, self.max_client_hello_size) < 1:
            raise ConfigurationError("max_handshake_size and max_client_hello_size are numbers of bytes, 1 or more")

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def replace(self, **changes: Any) -> Self:
        """Make a changed copy; what was left to a default follows the changes. Its own session cache is empty unless session_cache is given."""
        left_out = {name: _LEFT_OUT[name] for name in self._derived}
        return dataclasses.replace(self, **{**left_out, **changes})

    @property
    def chains(self) -> ChainCache | None:
        """The cache of verified chains in use."""
        return self._chains

    @property
    def observers(self) -> tuple[Observer, ...]:
        """The observer and the key log, those that are set."""
        return tuple(each for each in (self.observer, self._keylog) if each is not None)


# The values that mean "not given" of the fields whose default depends on others.
_LEFT_OUT: Final[dict[str, tuple[()] | None]] = {"versions": (), "key_shares": None}


def _versions(named: Iterable[Any], suites: Sequence[CipherSuite]) -> tuple[TLSVersion, ...]:
    """The versions that are named and have a suite, newest first; by default those that have one."""
    able = [
        version
        for version, table in ((TLSVersion.TLSv1_3, crypto.SUITES), (TLSVersion.TLSv1_2, crypto.SUITES12))
        if any(suite in table for suite in suites)
    ]
    wanted = tuple(named)
    if not wanted:
        return tuple(able)
    for version in _enumerated("versions", TLSVersion, wanted):
        if version not in (TLSVersion.TLSv1_3, TLSVersion.TLSv1_2):
            raise ConfigurationError(
                f"{version} is not supported: it is not secure; versions may name TLS 1.3 and TLS 1.2"
            )
        if version not in able:
            raise ConfigurationError(f"versions names {version}, but cipher_suites has no suite of it")
    return tuple(version for version in able if version in _enumerated("versions", TLSVersion, wanted))


def _enumerated(name: str, kind: type[Any], values: Iterable[Any]) -> tuple[Any, ...]:
    try:
        listed = tuple(dict.fromkeys(kind[value] if isinstance(value, str) else kind(value) for value in values))
    except (KeyError, ValueError):
        raise ConfigurationError(f"{name}: {values!r} holds what {kind.__name__} does not know") from None
    if not listed:
        raise ConfigurationError(f"{name} is empty: there would be nothing to negotiate")
    return listed


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientConfig(Config):
    """A client's configuration.

    session_cache: a SessionCache, None for no resumption; by default each configuration has one of its own. insecure_skip_verification: accept
    any certificate (the handshake is then open to an attacker in the middle). insecure_skip_name_check: accept any certificate that the trust
    vouches for, whomever it names (whoever holds one is then believed to be the server). request_ocsp: ask for an OCSP staple. key_shares: groups
    sent with the first hello (default: the first of groups, and beside a hybrid the first that is none; with none the server names the one it
    wants, for a round trip). require_secure_renegotiation: refuse TLS 1.2 servers without RFC 5746. fallback_scsv: say that an earlier attempt
    with a newer version failed (RFC 7507)."""

    session_cache: SessionCache | Literal[_Marker.default] | None = DEFAULT
    insecure_skip_verification: bool = False
    insecure_skip_name_check: bool = False
    request_ocsp: bool = True
    key_shares: Sequence[NamedGroup] | None = None
    require_secure_renegotiation: bool = True
    fallback_scsv: bool = False
    _cache: SessionCache | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        Config.__post_init__(self)
        self._set("_cache", SessionCache() if isinstance(self.session_cache, _Marker) else self.session_cache)
        if self.key_shares is None:
            self._set("_derived", (*self._derived, "key_shares"))
        # RFC 8446, 4.2.8: this vector MAY be empty if the client is requesting a HelloRetryRequest
        named = default_key_shares(self.groups) if self.key_shares is None else tuple(self.key_shares)
        shares = _enumerated("key_shares", NamedGroup, named) if named else ()
        if not set(shares) <= set(self.groups):
            raise ConfigurationError("key_shares names a group that groups does not")
        self._set("key_shares", shares)

    @property
    def sessions(self) -> SessionCache | None:
        """The session cache in use."""
        return self._cache

    @property
    def trust_store(self) -> TrustStore:
        """The trust given, else the system's."""
        return self.trust if self.trust is not None else TrustStore.system()

    def session_key(self, server_name: str | None) -> tuple[object, ...]:
        """Under what a session is kept: all that a full handshake would have checked (SECURITY-BAR: downgrade is seen)."""
        trust = b"" if self.insecure_skip_verification else self.trust_store.digest
        credentials = tuple(credential.fingerprint for credential in self.credentials)
        skipped = self.insecure_skip_verification, self.insecure_skip_name_check
        return server_name, self.alpn, trust, skipped, self.verify, credentials


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerConfig(Config):
    """A server's configuration.

    client_auth: "required", "optional" or None; needs trust, whose authorities client certificates must chain to. tickets: a TicketKeyring,
    None for no resumption; by default each configuration has one of its own. ticket_count: tickets sent after a full handshake.
    on_client_hello: called with the ClientHello, answers another ServerConfig or None; or ASK. strict_sni: refuse names that no credential
    serves, in place of the first credential. early_data_budget: bytes of refused early data that are skipped (RFC 8446, 4.2.10).
    retry_cookie: put a cookie into HelloRetryRequest. session_store: where TLS 1.2 sessions are kept by id (a SessionStore; None: nowhere; ASK).
    tickets and session_store that raise cost a resumption, never a handshake: the observer is told. cipher_suites left to its default yields to a
    client that leads with ChaCha20-Poly1305."""

    client_auth: Literal["required", "optional"] | None = None
    tickets: Keyring | Literal[_Marker.default] | None = DEFAULT
    ticket_count: int = 2
    on_client_hello: ClientHelloHook | Literal[_Marker.ask] | None = None
    strict_sni: bool = False
    early_data_budget: int = 16 * 1024
    retry_cookie: bool = False
    session_store: SessionStore | Literal[_Marker.default, _Marker.ask] | None = DEFAULT
    _keyring: Keyring | None = field(default=None, init=False, repr=False, compare=False)
    _store: SessionStore | None = field(default=None, init=False, repr=False, compare=False)
    _store_keyring: Keyring | None = field(default=None, init=False, repr=False, compare=False)
    _policies: dict[bytes, bytes] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        Config.__post_init__(self)
        if not self.credentials and self.on_client_hello is None:
            raise ConfigurationError("a server needs at least one credential: Credential.load(chain, key)")
        if self.client_auth not in (None, "required", "optional"):
            raise ConfigurationError('client_auth is "required", "optional" or None')
        if self.client_auth is not None and self.trust is None:
            raise ConfigurationError("client_auth needs trust: the authorities that client certificates must chain to")
        if not 0 <= self.ticket_count <= 8:
            raise ConfigurationError("ticket_count lies between 0 and 8")
        if self.early_data_budget < 0:
            raise ConfigurationError("early_data_budget is a number of bytes, 0 or more")
        self._set("_keyring", TicketKeyring() if isinstance(self.tickets, _Marker) else self.tickets)
        store = self.session_store
        if TLSVersion.TLSv1_2 in self.versions:
            self._set(
                "_store", MemorySessionStore() if store is DEFAULT else None if isinstance(store, _Marker) else store
            )
            self._set("_store_keyring", self._keyring if self._keyring is not None else TicketKeyring())
        self._check_key_transport()

    def _check_key_transport(self) -> None:
        """Static RSA suites are enabled by name, and only where decryption is no padding oracle."""
        if any(suite in crypto.SUITES12 and crypto.SUITES12[suite].exchange == "rsa" for suite in self.cipher_suites):
            for credential in self.credentials:
                if credential.can_decrypt:
                    credential.check_implicit_rejection()

    @property
    def keyring(self) -> Keyring | None:
        """The ticket keys in use."""
        return self._keyring

    @property
    def store(self) -> SessionStore | None:
        """The store of TLS 1.2 sessions in use."""
        return self._store

    @property
    def store_keyring(self) -> Keyring | None:
        """The keys under which sessions lie in the store."""
        return self._store_keyring

    def policy_digest(self, credential: Credential) -> bytes:
        """What a ticket binds, so that it never crosses to a virtual host or a configuration that asks more: the client_auth policy (mode, trust
        anchors) and the group of names that the credential serves."""
        digest = self._policies.get(credential.fingerprint)
        if digest is None:
            digest = self._policies[credential.fingerprint] = self._policy_digest(credential)
        return digest

    def _policy_digest(self, credential: Credential) -> bytes:
        trust = b"" if self.trust is None or self.client_auth is None else self.trust.digest
        names = "\n".join(sorted(map(str, (*credential.names.dns, *credential.names.addresses))))
        parts = ((self.client_auth or "none").encode(), trust, names.encode())
        return hashlib.sha256(b"".join(len(part).to_bytes(4) + part for part in parts)).digest()


__all__ = ["ASK", "DEFAULT", "ClientConfig", "Config", "Observer", "ServerConfig", "default_suites"]
