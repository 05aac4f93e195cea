"""Lines of JSON that carry a CRC32C of their own, so that a torn or damaged one is known."""

from __future__ import annotations

import json
from typing import Any

import google_crc32c

_CRC_KEY = ',"crc":"'


def sealed(record: dict[str, Any]) -> bytes:
    """Return a record as a line of JSON that ends in its own CRC32C."""
    body = json.dumps(record, separators=(",", ":"), allow_nan=False)
    return f'{body[:-1]}{_CRC_KEY}{google_crc32c.value(body.encode()):08x}"}}\n'.encode()


def unsealed(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line without its newline, None when it does not fit its CRC or is no record."""
    body, key, crc = line.rpartition(_CRC_KEY.encode())
    body += b"}"
    if not key or len(crc) != 10 or crc[8:] != b'"}' or f"{google_crc32c.value(body):08x}".encode() != crc[:8]:
        return None
    try:
        record = json.loads(body)
    except (ValueError, RecursionError):  # a CRC only tells accidents; this one was made on purpose
        return None
    return record if isinstance(record, dict) else None
