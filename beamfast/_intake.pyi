from collections.abc import Callable
from typing import Any

from typing_extensions import Buffer, disjoint_base

from beamfast._frames import FrameParser

@disjoint_base
class Outbox:
    _events: list[Any] | None
    _output: list[bytes] | None
    @property
    def has_news(self) -> bool: ...
    def events_received(self) -> list[Any]: ...
    def data_to_send(self) -> list[bytes]: ...
    def _emit(self, event: Any) -> None: ...
    def _put(self, data: bytes) -> None: ...

@disjoint_base
class Intake(Outbox):
    on_answer: Callable[[], object] | None
    _parser: FrameParser
    _deliver: Callable[[str | bytes], object] | None
    _alone: bool
    _held: tuple[int, str] | None
    def _feed(self, data: Buffer) -> None: ...

def data_received(link: Any, data: Buffer) -> None: ...
