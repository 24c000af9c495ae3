from collections.abc import Awaitable, Callable
from types import GenericAlias
from typing import Any, Generic, Literal, Protocol, TypeVar

from typing_extensions import disjoint_base

from beamfast._answer import AnswerWriter
from beamfast._scan import HeadScanner
from beamfast._wheel import Timed, Wheel

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")

class _Transport(Protocol):
    def write(self, data: bytes, /) -> None: ...

@disjoint_base
class ShortWay(Generic[_Request, _Response]):
    application: Callable[[_Request], _Response | Awaitable[_Response]]
    scanner: HeadScanner[_Request]
    idle_timeout: float
    is_draining: bool
    def __class_getitem__(cls, item: Any, /) -> GenericAlias: ...
    def __init__(
        self,
        request: type[_Request],
        response: type[_Response],
        answers: AnswerWriter[_Response],
        wheel: Wheel,
    ) -> None: ...
    @property
    def answers(self) -> AnswerWriter[_Response]: ...
    def serve(
        self,
        connection: Timed,
        data: bytes,
        transport: _Transport,
        peer: str,
        is_secure: bool,
    ) -> Literal[True] | tuple[_Request, _Response | Awaitable[_Response]] | None: ...
