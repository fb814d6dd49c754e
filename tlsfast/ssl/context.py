# SPDX-License-Identifier: Apache-2.0
"""SSLContext: a real ssl.SSLContext that stores the settings, and whose connections are tlsfast's; the first module that a user of the drop-in meets.

The base class keeps what it validates (versions, options, cipher strings, verify_flags...): it is read back when a connection is made. What would
need OpenSSL at work (trust, certificates and keys, sessions, statistics, handshakes, records) is done here."""

from __future__ import annotations

import _ssl
import itertools
import os
import ssl
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any, Final, Literal, Self

from tlsfast.config import ASK, ClientConfig, ServerConfig
from tlsfast.credentials import Credential
from tlsfast.errors import ApiMisuse
from tlsfast.registry import CipherSuite, NamedGroup, SignatureScheme, TLSVersion
from tlsfast.sessions import MemorySessionStore, TicketKeyring
from tlsfast.ssl import identity, messages, settings, trust
from tlsfast.ssl.certs import decode, is_authority
from tlsfast.ssl.choose import choose
from tlsfast.ssl.errors import make, protocol_error, unsupported
from tlsfast.ssl.openssl import hand_over
from tlsfast.ssl.session import ContextSessions, SSLSession
from tlsfast.ssl.wires import BIOEngine, SocketEngine

# The C type's own descriptors. The properties of ssl.SSLContext set through super(SSLContext, SSLContext), a global name that inject() exchanges.
_C: Final[Any] = _ssl._SSLContext
# What makes another configuration when it changes; _revision counts what is kept here.
_READ_BACK: Final = tuple(
    getattr(_C, name).__get__
    for name in (
        "options verify_mode verify_flags minimum_version maximum_version check_hostname num_tickets keylog_filename post_handshake_auth"
    ).split()
)
# SSL_OP_LEGACY_SERVER_CONNECT, which has a name in Python 3.12 only.
_LEGACY_SERVER_CONNECT: Final = 0x4
_CLIENT_AUTH: Final[dict[int, Literal["required", "optional"] | None]] = {
    ssl.CERT_NONE: None,
    ssl.CERT_OPTIONAL: "optional",
    ssl.CERT_REQUIRED: "required",
}
_serials = itertools.count(1)
_STATISTICS: Final = (
    "number connect connect_good connect_renegotiate accept accept_good accept_renegotiate hits misses timeouts cache_full"
).split()


class SSLContext(ssl.SSLContext):
    """An ssl.SSLContext over tlsfast. SSLContext(protocol, fallback="openssl") hands connections that need what tlsfast does not do
    (TLS 1.1, DHE, CBC, post-handshake authentication...) to OpenSSL; without it they are refused by an SSLError that names the thing.

    Where it differs from the standard one: clients resume by themselves, until the program reads or sets a session: then it is resumed where the
    program says, for the same name and settings alone. Any certificate that is trusted ends a path, as with VERIFY_X509_PARTIAL_CHAIN; names in CN
    are never used. OP_LEGACY_SERVER_CONNECT also lets TLS 1.2 peers without extended master secret in. set_groups, set_ciphersuites and
    set_*_sigalgs are here on every version of Python."""

    _fallback: Literal["openssl"] | None
    _refused: ssl.SSLError | None
    _serial: int
    _revision: int  # of what is kept here: with the base class's settings, the key of a configuration
    _lock: threading.Lock
    _anchors: trust.Anchors
    _credentials: dict[str, Credential]
    _cipher_string: str | None
    _suites13: tuple[CipherSuite, ...]
    _alpn: tuple[str, ...]
    _groups: tuple[NamedGroup, ...] | None
    _client_schemes: tuple[SignatureScheme, ...] | None
    _server_schemes: tuple[SignatureScheme, ...] | None
    _message_callback: Any
    _sessions: ContextSessions
    _by_hand: bool
    _keyring: TicketKeyring | None
    _session_store: MemorySessionStore | None
    _statistics: dict[str, int]
    _configs: dict[Any, Any]

    def __new__(
        cls, protocol: int | None = None, *_: Any, fallback: Literal["openssl"] | None = None, **__: Any
    ) -> Self:
        if protocol is None:
            text = "ssl.SSLContext() without protocol argument is deprecated."
            warnings.warn(text, category=DeprecationWarning, stacklevel=2)
            protocol = ssl.PROTOCOL_TLS
        if fallback not in (None, "openssl"):
            raise ValueError(f'fallback is "openssl" or None, not {fallback!r}')
        self = super().__new__(cls, protocol)
        self._fallback = fallback
        self._refused = None
        self._serial = next(_serials)
        self._revision = 0
        self._lock = threading.Lock()
        self._anchors = trust.Anchors()
        self._credentials = {}
        self._cipher_string = None
        self._suites13 = settings.default_suites13()
        self._alpn = ()
        self._groups = self._client_schemes = self._server_schemes = None
        self._message_callback = None
        self._sessions = ContextSessions()
        self._by_hand = False
        self._keyring = self._session_store = None
        self._statistics = dict.fromkeys(_STATISTICS, 0)
        self._configs = {}
        return self

    # ---- Connections ----

    def _wrap_socket(
        self,
        sock: Any,
        server_side: bool,
        server_hostname: str | None = None,
        *,
        owner: Any = None,
        session: SSLSession | None = None,
    ) -> Any:
        config = self._config_or_none(server_side, server_hostname)
        if config is None:
            return super()._wrap_socket(sock, server_side, server_hostname, owner=owner)  # type: ignore[misc]
        return SocketEngine(self, config, server_hostname, owner, session, sock)

    def _wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool,
        server_hostname: str | None = None,
        *,
        owner: Any = None,
        session: SSLSession | None = None,
    ) -> Any:
        config = self._config_or_none(server_side, server_hostname)
        if config is None:
            return super()._wrap_bio(incoming, outgoing, server_side, server_hostname, owner=owner)  # type: ignore[misc]
        return BIOEngine(self, config, server_hostname, owner, session, incoming, outgoing)

    def _config_or_none(self, server_side: bool, server_hostname: str | None) -> ClientConfig | ServerConfig | None:
        """The configuration; None where OpenSSL takes over."""
        try:
            if self._refused is not None:
                raise self._refused
            return self._tlsfast_config(server_side, server_hostname)
        except ssl.SSLError as error:
            if self._fallback is None or error.reason != "UNSUPPORTED":
                raise
            hand_over(self, _C, self._anchors, list(self._credentials.values()))
            return None

    def _refuse(self, error: ssl.SSLError) -> None:
        """A setting that tlsfast cannot keep: an error now, or with the fallback OpenSSL for every connection."""
        if self._fallback is None:
            raise error
        self._refused = error

    # ---- What tlsfast.aio builds on ----

    def _tlsfast_config(self, server_side: bool, server_hostname: str | None = None) -> ClientConfig | ServerConfig:
        """The settings as they stand now, for a tlsfast.ClientConnection(config, server_hostname) or a ServerConnection(config).

        The same object is returned until a setting changes. A ServerConfig asks for its ChooseConfig event to be answered with
        context._tlsfast_answer(request.client_hello, connection), which may raise. A client's configuration resumes by the context's cache.
        Raises ssl.SSLError for what tlsfast does not do, ValueError for a hostname that cannot be one."""
        self._check_side(server_side, server_hostname)
        key = self._key(server_side)
        config = self._configs.get(key)
        if config is None:
            try:
                config = self._server_config() if server_side else self._client_config()
            except ApiMisuse as error:
                raise protocol_error("INTERNAL_ERROR", error.message) from None
            with self._lock:
                for old in [each for each in self._configs if each[0] == server_side]:
                    del self._configs[old]
                self._configs[key] = config
        made: ClientConfig | ServerConfig = config
        return made

    def _tlsfast_answer(self, client_hello: Any, connection: Any, config: ServerConfig | None = None) -> ServerConfig:
        """The configuration by which a ClientHello is served: sni_callback is asked, ALPN without a protocol in common goes without.

        connection: what sni_callback is given; its attribute context, this one, may be set by it. config: what _tlsfast_config gave the connection.
        Raises a tlsfast.PeerError where the callback refuses."""
        if config is None:
            config = self._server_side_config()
        return choose(self, client_hello, connection, config)

    def _server_side_config(self) -> ServerConfig:
        config = self._tlsfast_config(True)
        assert isinstance(config, ServerConfig)
        return config

    def _check_side(self, server_side: bool, server_hostname: str | None) -> None:
        protocol = _C.protocol.__get__(self)
        if server_side and protocol == ssl.PROTOCOL_TLS_CLIENT:
            raise make(ssl.SSLError, 1, "Cannot create a server socket with a PROTOCOL_TLS_CLIENT context")
        if not server_side and protocol == ssl.PROTOCOL_TLS_SERVER:
            raise make(ssl.SSLError, 1, "Cannot create a client socket with a PROTOCOL_TLS_SERVER context")
        if server_hostname is not None:
            if not server_hostname or server_hostname.startswith("."):
                raise ValueError("server_hostname cannot be an empty string or start with a leading dot.")
            if "\0" in server_hostname:
                raise TypeError("server_hostname must not contain a null character")
        elif not server_side and _C.check_hostname.__get__(self):
            raise ValueError("check_hostname requires server_hostname")

    def _key(self, server_side: bool) -> tuple[Any, ...]:
        return server_side, self._revision, self._anchors.revision, *[get(self) for get in _READ_BACK]

    def _shared(self) -> dict[str, Any]:
        """What client and server have in common."""
        options = int(_C.options.__get__(self))
        versions = settings.versions(
            int(_C.protocol.__get__(self)),
            int(_C.minimum_version.__get__(self)),
            int(_C.maximum_version.__get__(self)),
            options,
        )
        shared: dict[str, Any] = {
            **settings.suites(versions, self._suites13, self._cipher_string, self._listed),
            "alpn": self._alpn,
            "keylog": _C.keylog_filename.__get__(self),
            "require_extended_master_secret": not options & _LEGACY_SERVER_CONNECT,
            "middlebox_compatibility": bool(options & ssl.OP_ENABLE_MIDDLEBOX_COMPAT),
        }
        if self._groups is not None:
            shared["groups"] = self._groups
        return shared

    def _store(self) -> Any:
        return self._anchors.store(int(_C.verify_flags.__get__(self)), self._anchors.used.setdefault)

    def _client_config(self) -> ClientConfig:
        options, verified = int(_C.options.__get__(self)), _C.verify_mode.__get__(self) != ssl.CERT_NONE
        shared = self._shared()
        if self._server_schemes is not None:
            shared["signature_schemes"] = self._server_schemes
        return ClientConfig(
            **shared,
            credentials=settings.narrowed(self._with_chains(), self._client_schemes),
            trust=self._store() if verified else None,
            insecure_skip_verification=not verified,
            insecure_skip_name_check=not _C.check_hostname.__get__(self),
            require_secure_renegotiation=not options & _LEGACY_SERVER_CONNECT,
            session_cache=None if options & ssl.OP_NO_TICKET else self._sessions,
        )

    def _server_config(self) -> ServerConfig:
        options, mode = int(_C.options.__get__(self)), int(_C.verify_mode.__get__(self))
        if _C.post_handshake_auth.__get__(self) and mode != ssl.CERT_NONE:
            raise unsupported(
                "post-handshake client authentication; without post_handshake_auth clients are asked in the handshake"
            )
        if self._keyring is None:
            self._keyring, self._session_store = TicketKeyring(), MemorySessionStore()
        shared = self._shared()
        if self._client_schemes is not None:
            shared["signature_schemes"] = self._client_schemes
        return ServerConfig(
            **shared,
            credentials=settings.narrowed(self._with_chains(), self._server_schemes),
            client_auth=_CLIENT_AUTH[mode],
            trust=self._store() if mode != ssl.CERT_NONE else None,
            tickets=None if options & ssl.OP_NO_TICKET else self._keyring,
            ticket_count=min(int(_C.num_tickets.__get__(self)), 8),
            session_store=self._session_store,
            on_client_hello=ASK,
        )

    # ---- Trust ----

    def load_verify_locations(self, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
        """Trust the certificates (and take the CRLs) of a file, a directory or bytes."""
        if cafile is None and capath is None and cadata is None:
            raise TypeError("cafile, capath and cadata cannot be all omitted")
        directory = None if capath is None else _path(capath, "capath")
        if cadata is not None:
            self._anchors.add(trust.from_data(cadata))
        if cafile is not None:
            self._anchors.add(trust.from_file(_path(cafile, "cafile")))
        if directory is not None:
            self._anchors.add_directory(directory)

    def load_default_certs(self, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> None:
        """Trust the system's roots, or those that SSL_CERT_FILE and SSL_CERT_DIR name; they are parsed once in a process."""
        if not isinstance(purpose, ssl._ASN1Object):
            raise TypeError(purpose)
        self._anchors.add_defaults()

    def set_default_verify_paths(self) -> None:
        self._anchors.add_defaults()

    def cert_store_stats(self) -> dict[str, int]:
        listed = self._anchors.listed()
        return {
            "x509": len(listed),
            "crl": len(self._anchors.crls),
            "x509_ca": sum(map(is_authority, listed)),
        }

    def get_ca_certs(self, binary_form: bool = False) -> Any:
        listed = [der for der in self._anchors.listed() if is_authority(der)]
        return listed if binary_form else [decode(der) for der in listed]

    # ---- Who we are ----

    def load_cert_chain(self, certfile: Any, keyfile: Any = None, password: identity.Password = None) -> None:
        """Take a chain and its key: paths, PEM or DER in bytes, or cryptography objects. One of each kind of key is kept, as with OpenSSL."""
        credential = identity.load(certfile, keyfile, password)
        kind = type(credential.leaf.public_key()).__name__
        self._credentials.pop(kind, None)
        self._credentials[kind] = credential
        self._revision += 1

    def _with_chains(self) -> list[Credential]:
        """The credentials, those that came without intermediates with the issuers that are trusted, as OpenSSL sends them."""
        return [identity.with_issuers(each, self._anchors.certificates) for each in self._credentials.values()]

    # ---- Settings that the base class keeps, set through its C descriptors ----

    @property
    def options(self) -> ssl.Options:
        return ssl.Options(_C.options.__get__(self))

    @options.setter
    def options(self, value: int) -> None:
        _C.options.__set__(self, value)

    @property
    def verify_flags(self) -> ssl.VerifyFlags:
        return ssl.VerifyFlags(_C.verify_flags.__get__(self))

    @verify_flags.setter
    def verify_flags(self, value: int) -> None:
        _C.verify_flags.__set__(self, value)

    @property
    def verify_mode(self) -> ssl.VerifyMode:
        return ssl.VerifyMode(_C.verify_mode.__get__(self))

    @verify_mode.setter
    def verify_mode(self, value: int) -> None:
        _C.verify_mode.__set__(self, value)

    @property
    def minimum_version(self) -> ssl.TLSVersion:
        return ssl.TLSVersion(_C.minimum_version.__get__(self))

    @minimum_version.setter
    def minimum_version(self, value: int) -> None:
        if value == ssl.TLSVersion.SSLv3:
            self.options &= ~ssl.Options.OP_NO_SSLv3
        _C.minimum_version.__set__(self, value)

    @property
    def maximum_version(self) -> ssl.TLSVersion:
        return ssl.TLSVersion(_C.maximum_version.__get__(self))

    @maximum_version.setter
    def maximum_version(self, value: int) -> None:
        _C.maximum_version.__set__(self, value)

    @property
    def _msg_callback(self) -> Any:
        return None if self._message_callback is None else self._message_callback.user_function

    @_msg_callback.setter
    def _msg_callback(self, callback: Callable[..., object] | None) -> None:
        self._message_callback = None if callback is None else messages.wrapped(callback)

    # ---- Negotiation ----

    def set_ciphers(self, ciphers: str) -> None:
        """Choose the TLS 1.2 suites by an OpenSSL cipher string. Those of them that tlsfast does are used; static RSA only where it is named."""
        super().set_ciphers(ciphers)
        self._cipher_string = ciphers
        self._revision += 1

    def _listed(self) -> list[str]:
        """What OpenSSL made of the cipher string."""
        return [each["name"] for each in super().get_ciphers() if each["protocol"] != "TLSv1.3"]

    def get_ciphers(self) -> Any:
        """The suites that connections may use: OpenSSL's descriptions of those that tlsfast does."""
        versions = (TLSVersion.TLSv1_3, TLSVersion.TLSv1_2)
        try:
            suites = settings.suites(versions, self._suites13, self._cipher_string, self._listed)["cipher_suites"]
        except ssl.SSLError:
            suites = self._suites13
        names = {settings.NAMES[suite] for suite in suites}
        return [each for each in super().get_ciphers() if each["name"] in names]

    def set_ciphersuites(self, ciphersuites: str) -> None:
        """Choose the TLS 1.3 suites: names separated by colons."""
        self._suites13 = settings.suites13(ciphersuites)
        self._revision += 1

    def _set_alpn_protocols(self, protocols: bytes | bytearray) -> None:
        super()._set_alpn_protocols(protocols)  # type: ignore[misc]  # it judges the form
        names, rest = [], bytes(protocols)
        while rest:
            names.append(rest[1 : 1 + rest[0]].decode("latin-1"))
            rest = rest[1 + rest[0] :]
        self._alpn = tuple(dict.fromkeys(names))
        self._revision += 1

    def set_ecdh_curve(self, name: str | bytes) -> None:
        """Use one group for key agreement."""
        super().set_ecdh_curve(name)  # type: ignore[arg-type]  # bytes are taken too
        self.set_groups(name.decode() if isinstance(name, bytes) else name)

    def set_groups(self, groups: str) -> None:
        """Choose the groups for key agreement: names separated by colons, the preferred first."""
        try:
            self._groups = settings.groups(groups)
            self._revision += 1
        except ssl.SSLError as error:
            self._refuse(error)

    def get_groups(self, *, include_aliases: bool = False) -> list[str]:
        """The names of the groups that can be chosen."""
        return settings.group_names(include_aliases)

    def set_client_sigalgs(self, sigalgs: str) -> None:
        """Choose the signature schemes of client certificates."""
        self._client_schemes = settings.schemes(sigalgs)
        self._revision += 1

    def set_server_sigalgs(self, sigalgs: str) -> None:
        """Choose the signature schemes of server certificates."""
        self._server_schemes = settings.schemes(sigalgs)
        self._revision += 1

    def set_psk_client_callback(self, callback: Any) -> None:
        if callback is not None:
            self._refuse(unsupported("external pre-shared keys (set_psk_client_callback)"))
        if self._fallback is not None and sys.version_info >= (3, 13):
            super().set_psk_client_callback(callback)

    def set_psk_server_callback(self, callback: Any, identity_hint: str | None = None) -> None:
        if callback is not None:
            self._refuse(unsupported("external pre-shared keys (set_psk_server_callback)"))
        if self._fallback is not None and sys.version_info >= (3, 13):
            super().set_psk_server_callback(callback, identity_hint)

    # ---- Sessions ----

    def session_stats(self) -> dict[str, int]:
        return dict(self._statistics)

    def _count(self, *names: str) -> None:
        with self._lock:
            for name in names:
                self._statistics[name] += 1

    def _resume_by_hand(self) -> None:
        """The program reads or sets sessions itself: from now on they are resumed where it says, and nowhere else."""
        self._by_hand = True


def _path(given: Any, what: str) -> str:
    if not isinstance(given, str | bytes | os.PathLike):
        raise TypeError(f"{what} should be a valid filesystem path")
    return os.fsdecode(given)
