"""
Close frames: which codes may travel, and what their payload says.

Standard: RFC 6455, sections 5.5.1 and 7.4, and the IANA registry of close codes.
"""

from __future__ import annotations

from typing import Final

from beamfast.errors import CloseCode, ProtocolError

#: Bytes that a reason may have: 125 of a control frame, less the code.
REASON_LIMIT: Final = 123

# 1004 is reserved; 1005, 1006 and 1015 are reported and never sent (7.4.1).
_RECEIVABLE: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})

# The protocol itself is broken only for the stack, and only a client may miss
# an extension in the answer (7.4.1, 1002 and 1010).
_STACK_ONLY: Final = frozenset({CloseCode.PROTOCOL_ERROR})
_CLIENT_ONLY: Final = frozenset({CloseCode.MANDATORY_EXTENSION})


def is_close_code(code: int) -> bool:
    """Tell whether ``code`` may stand in a close frame."""
    return code in _RECEIVABLE or 3000 <= code <= 4999


def check_close(code: int, reason: str, *, is_client: bool) -> bytes:
    """
    Return the payload of a close frame that an application asked for.

    Raises:
        ValueError: the code is not the application's to send, or the reason is
            longer than 123 bytes of UTF-8.
    """
    allowed = is_close_code(code) and code not in _STACK_ONLY
    if not allowed or (code in _CLIENT_ONLY and not is_client):
        raise ValueError(f"close code {code} may not be sent")
    payload = reason.encode()
    if len(payload) > REASON_LIMIT:
        raise ValueError("the reason is longer than 123 bytes")
    return code.to_bytes(2, "big") + payload


def failure_payload(code: int, reason: str) -> bytes:
    """Return the payload that tells why we fail, cut to fit between characters."""
    text = reason.encode()[:REASON_LIMIT].decode("utf-8", "ignore")
    return code.to_bytes(2, "big") + text.encode()


def parse_close(payload: bytes) -> tuple[int, str]:
    """
    Return code and reason of a received close frame, 1005 for an empty one.

    Raises:
        ProtocolError: the payload breaks RFC 6455, 5.5.1 or 7.4.
    """
    if not payload:
        return CloseCode.NO_STATUS_RECEIVED, ""
    if len(payload) == 1:
        raise ProtocolError("close frame with one byte")
    code = int.from_bytes(payload[:2], "big")
    if not is_close_code(code):
        raise ProtocolError(f"close code {code} may not be sent")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise ProtocolError(
            "close reason is not UTF-8", CloseCode.INVALID_PAYLOAD_DATA
        ) from None
