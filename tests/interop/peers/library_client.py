# SPDX-License-Identifier: Apache-2.0
"""An HTTP client that knows nothing of tlsfast, after tlsfast.ssl.inject(): run as a program by test_lib_http_clients.py.

usage: library_client.py LIBRARY URL CA. It prints in JSON how many handshakes tlsfast did, how much came back, and how a stranger was refused."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import tlsfast.ssl

tlsfast.ssl.inject()

SIZE = 3_000_000


def use_urllib(url: str, sent: bytes, ca: str) -> tuple[bytes, str]:
    import urllib.error
    import urllib.request

    refused = ""
    try:
        urllib.request.urlopen(url + "/", timeout=30)
    except urllib.error.URLError as error:
        refused = type(error.reason).__name__
    os.environ["SSL_CERT_FILE"] = ca
    with urllib.request.urlopen(url + "/echo", sent, timeout=30) as answer:
        return answer.read(), refused


def use_requests(url: str, sent: bytes, ca: str) -> tuple[bytes, str]:
    import requests

    refused = ""
    try:
        requests.get(url + "/", timeout=30)
    except requests.exceptions.SSLError as error:
        refused = type(error).__name__
    return requests.post(url + "/echo", sent, verify=ca, timeout=30).content, refused


def use_httpx(url: str, sent: bytes, ca: str, http2: bool = False) -> tuple[bytes, str]:
    import ssl

    import httpx

    refused = ""
    try:
        httpx.get(url + "/", timeout=30)
    except httpx.ConnectError as error:
        refused = type(error).__name__
    context = ssl.create_default_context(cafile=ca)  # as httpx's documentation says; ours by then
    with httpx.Client(verify=context, http2=http2, timeout=30) as client:
        answer = client.post(url + "/echo", content=sent)
        assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
        return answer.content, refused


def use_aiohttp(url: str, sent: bytes, ca: str) -> tuple[bytes, str]:
    import asyncio
    import ssl

    import aiohttp

    async def work() -> tuple[bytes, str]:
        refused = ""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            try:
                await session.get(url + "/")
            except aiohttp.ClientConnectorCertificateError as error:
                refused = type(error).__name__
            context = ssl.create_default_context(cafile=ca)
            async with session.post(url + "/echo", data=sent, ssl=context) as answer:
                return await answer.read(), refused

    return asyncio.run(work())


def main() -> None:
    library, url, ca = sys.argv[1:]
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        os.environ.pop(name, None)
    from library_server import Witness  # beside this file

    witness = Witness()
    use: dict[str, Any] = {
        "urllib": use_urllib,
        "requests": use_requests,
        "httpx": use_httpx,
        "httpx-h2": lambda *given: use_httpx(*given, http2=True),
        "aiohttp": use_aiohttp,
    }
    sent = os.urandom(SIZE)
    back, refused = use[library](url, sent, ca)
    assert back == sent
    print(json.dumps({**witness.facts(), "back": len(back), "refused": refused}))


if __name__ == "__main__":
    main()
