# SPDX-License-Identifier: Apache-2.0
"""What fuzzing found, each as a test of its own: the inputs in fuzz/corpus mean something only as long as the targets read them so."""

from __future__ import annotations

import pytest
from pair import NAME, client_config, make_pair, server_config

from tlsfast import ASK, ApiMisuse, ClientConnection
from tlsfast.connection import MAX_WAITING
from tlsfast.events import VerifyChain


def asked() -> tuple[ClientConnection, VerifyChain]:
    """A client that waits for the answer to a question, the rest of the server's flight at hand."""
    pair = make_pair(client_config(verify=ASK), server_config())
    pair.server.receive_data(pair.client.data_to_send())
    (question,) = pair.client.receive_data(pair.server.data_to_send())
    assert isinstance(question, VerifyChain)
    return pair.client, question


def test_answer_after_close() -> None:
    """The flow would go on with keys that close has wiped."""
    client, question = asked()
    client.close()
    assert client.answer(question, None) == []
    assert client.failure is None
    assert client.receive_data(b"whatever comes") == []


def test_a_hook_that_closes_the_connection() -> None:
    """As another thread may: what the flow then finds wiped is no fault of ours."""
    client: list[ClientConnection] = []
    pair = make_pair(client_config(verify=lambda _: client[0].close()), server_config())
    client.append(pair.client)
    pair.run()
    assert pair.client_error is None and pair.client.failure is None
    assert "close_notify" in str(pair.server_error)


def test_bytes_that_wait_for_an_answer_are_bounded() -> None:
    """What is refused is not kept: asking again and again takes no memory, and the connection goes on unharmed."""
    client, question = asked()
    for _ in range(8):
        with pytest.raises(ApiMisuse, match="give these bytes again"):
            client.receive_data(bytes(MAX_WAITING + 1))
    assert client._reader.buffered < 1024
    client.answer(question, None)
    assert client.handshake is not None and client.handshake.server_name == NAME
