"""TLS as a client sees it: which servers are trusted, who the client is, and what it means when a handshake fails.

The defaults are those of the machine: its authorities, the host's name checked, TLS 1.2 or newer. A failed handshake
says in plain words what to do about it, since the library's own words name the symptom only.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

PROTOCOL_NAME = "mqtt"  # what MQTT over TLS is called where one port serves several protocols (ALPN)

# What OpenSSL's verification found, and what can be done about it.
UNTRUSTED = "if you trust it, give the certificate of the authority that signed it (cafile)"
REMEDIES = {
    9: "it is not valid yet: look at this machine's clock",
    10: "it has expired: renew it at the server, or look at this machine's clock",
    18: UNTRUSTED,
    19: UNTRUSTED,
    20: UNTRUSTED,
    21: UNTRUSTED,
    62: "use a name that the certificate was made for",
    64: "use a name or an address that the certificate was made for",
}

# What else goes wrong in a handshake, by the names that OpenSSL gives it.
NO_TLS = "the server does not speak TLS at this port"
NO_COMMON = "client and server have no version of TLS or no cipher in common"
WANTED = "the server wants a certificate of the client (certfile and keyfile)"
REFUSED = "the server does not accept the client's certificate"
SYMPTOMS = {
    "WRONG_VERSION_NUMBER": NO_TLS,
    "HTTP_REQUEST": NO_TLS,
    "RECORD_LAYER_FAILURE": NO_TLS,
    "UNSUPPORTED_PROTOCOL": NO_COMMON,
    "NO_PROTOCOLS_AVAILABLE": NO_COMMON,
    "TLSV1_ALERT_PROTOCOL_VERSION": NO_COMMON,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": f"{NO_COMMON}, or {WANTED}",
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": "the server refuses the protocol asked for (ALPN)",
    "NO_APPLICATION_PROTOCOL": "the server refuses the protocol asked for (ALPN)",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": WANTED,
    "TLSV1_ALERT_UNKNOWN_CA": f"{REFUSED}: it does not know who signed it",
    "TLSV1_ALERT_ACCESS_DENIED": REFUSED,
    "SSLV3_ALERT_BAD_CERTIFICATE": REFUSED,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": f"{REFUSED}: it has expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": f"{REFUSED}: it was revoked",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": REFUSED,
}


def make_tls(
    cafile: str | os.PathLike[str] | None = None,
    capath: str | os.PathLike[str] | None = None,
    certfile: str | os.PathLike[str] | None = None,
    keyfile: str | os.PathLike[str] | None = None,
    key_password: str | bytes | None = None,
    insecure: bool = False,
    any_name: bool = False,
    alpn: Sequence[str] | None = None,
    minimum_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    ciphers: str | None = None,
) -> ssl.SSLContext:
    """A context for clients.

    `cafile` and `capath` name the authorities that are trusted instead of the machine's own. `certfile` and `keyfile`
    say who the client is; the key may lie in `certfile`. With `any_name` the certificate has to be signed by a trusted
    authority, but may be for any name; with `insecure` nothing is verified at all. `ciphers` is OpenSSL's list for
    TLS 1.2. Raises OSError, with the name of the file, when one cannot be read; ssl.SSLError, which is an OSError too,
    when one does not hold what it should; ValueError when a key needs a password and none was given.
    """
    context = read(lambda: ssl.create_default_context(cafile=cafile, capath=capath), cafile, capath)
    if certfile is not None:
        read(lambda: context.load_cert_chain(certfile, keyfile, lambda: given(key_password)), certfile, keyfile)
    elif keyfile is not None:
        raise ValueError("a key without a certificate: certfile is missing")
    context.minimum_version = minimum_version
    if insecure or any_name:
        context.check_hostname = False
    if insecure:
        context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if ciphers:
        context.set_ciphers(ciphers)
    return context


def chosen(tls: ssl.SSLContext | bool | None, is_websocket: bool) -> ssl.SSLContext:
    """The context to use: the one given, or one with the machine's own authorities, and then with the right ALPN."""
    if isinstance(tls, ssl.SSLContext):
        return tls
    return make_tls(alpn=None if is_websocket else [PROTOCOL_NAME])


def given(password: str | bytes | None) -> str | bytes:
    """The password of a key; without one OpenSSL would ask for it at the terminal, and wait."""
    if password is None:
        raise ValueError("the key is encrypted: it needs a password")
    return password


def read(load: Callable[[], T], *files: str | os.PathLike[str] | None) -> T:
    """Let OpenSSL read files, and say which ones when it cannot."""
    names = " and ".join(os.fspath(file) for file in files if file is not None)
    try:
        return load()
    except ssl.SSLError as error:
        what = (error.reason or error.strerror or "unreadable").lower().replace("_", " ")
        raise ssl.SSLError(error.errno, f"{names}: {what}") from error
    except OSError as error:
        error.filename = names
        raise


def explained(error: ssl.SSLError) -> str:
    """What a failed handshake, or a connection that TLS has ended, means for those who have to do something."""
    if isinstance(error, ssl.SSLCertVerificationError):
        found = error.verify_message.rstrip(".")
        remedy = REMEDIES.get(error.verify_code)
        return f"the server's certificate cannot be trusted: {found}" + (f"; {remedy}" if remedy else "")
    if isinstance(error, ssl.SSLEOFError):
        return "the server ended the connection during the handshake"
    name = error.reason or ""
    return SYMPTOMS.get(name, f"TLS failed: {name.lower().replace('_', ' ') or error}")
