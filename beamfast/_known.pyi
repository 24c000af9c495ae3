from typing import Any, Generic, Protocol, TypeVar, final

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")

class _Committer(Protocol):
    @property
    def turn(self) -> int: ...
    def glance(self, location: Any, /) -> Any: ...

@final
class KnownAnswers(Generic[_Request, _Response]):
    def __new__(
        cls, request: type[_Request], response: type[_Response]
    ) -> KnownAnswers[_Request, _Response]: ...
    def find(self, request: _Request, committer: _Committer) -> _Response | None: ...
    def keep(
        self, path: str, turn: int, location: Any, document: Any, model: _Response
    ) -> None: ...
