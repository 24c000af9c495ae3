from collections.abc import Callable
from typing import Final, Self, final

from typing_extensions import Buffer

PIECE: Final = 16
LAST: Final = 32

def mask(data: Buffer, key: bytes, offset: int = 0) -> bytes: ...
def build_frame(
    opcode: int,
    payload: Buffer | str,
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = None,
) -> bytes: ...
def utf8_valid(data: Buffer) -> bool: ...

@final
class Utf8Validator:
    def __init__(self) -> None: ...
    @property
    def complete(self) -> bool: ...
    def feed(self, data: Buffer) -> bool: ...

@final
class FrameParser:
    def __new__(
        cls,
        *,
        masked: bool,
        max_size: int = 1048576,
        max_frame_size: int = 1048576,
        max_fragments: int = 4096,
        rsv: int = 0,
        strict_lengths: bool = True,
        text_as_bytes: bool = False,
    ) -> Self: ...
    @property
    def close_code(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def is_at_rest(self) -> bool: ...
    def feed(
        self,
        data: Buffer,
        deliver: Callable[[str | bytes], object] | None,
        on_frame: Callable[[int, int, bytes], object],
    ) -> int: ...
    def stream(self, on_frame: Callable[[int, int, bytes], object] | None) -> None: ...
    def finish(self) -> None: ...
