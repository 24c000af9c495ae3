from typing import Final, Self

from httptools import HttpRequestParser
from typing_extensions import disjoint_base

IDLE: Final[int]
HEAD: Final[int]
BODY: Final[int]
SKIP: Final[int]
UPGRADE: Final[int]

@disjoint_base
class HeadCollector:
    part: int
    begun: bool
    llhttp: HttpRequestParser | None
    method: bytes
    target: bytes
    raw: list[tuple[bytes, bytes]]
    index: dict[bytes, list[bytes]]
    head_size: int
    head_fed: int
    overhead: int
    body_size: int
    def __new__(cls, line_limit: int, head_limit: int, field_limit: int) -> Self: ...
    def on_excess(self, status: int) -> None: ...
    def on_trailer(self, key: bytes) -> None: ...
    def on_message_begin(self) -> None: ...
    def on_url(self, piece: bytes) -> None: ...
    def on_header(self, name: bytes, value: bytes) -> None: ...
