# SPDX-License-Identifier: Apache-2.0
"""Answers to a handshake's questions from hooks that are coroutine functions: on_client_hello, verify, and the signer of an external credential."""

from __future__ import annotations

from typing import Any

from tlsfast.config import Config, ServerConfig
from tlsfast.events import ChooseConfig, Request, Sign, VerifyChain


def _hook(config: Config, request: Request) -> Any:
    if isinstance(request, VerifyChain):
        return config.verify
    if isinstance(request, ChooseConfig) and isinstance(config, ServerConfig):
        return config.on_client_hello
    if isinstance(request, Sign) and request.credential is not None:
        return request.credential.signer
    return None


def can_answer(config: Config, request: Request) -> bool:
    """Whether the configuration has a coroutine function for the request; ASK is none."""
    return callable(_hook(config, request))


async def answer_of(config: Config, request: Request) -> object:
    """Ask the hook."""
    hook = _hook(config, request)
    if isinstance(request, ChooseConfig):
        return await hook(request.client_hello)
    if isinstance(request, Sign):
        return await hook(request.scheme, request.data)
    return await hook(request)
