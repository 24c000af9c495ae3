from collections.abc import Callable
from typing import Generic, TypeVar, final

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")

@final
class LogLines(Generic[_Request, _Response]):
    def __new__(
        cls,
        request: type[_Request],
        response: type[_Response],
        spell: Callable[[str], str],
        format_time: Callable[[int], str],
        is_combined: bool,
    ) -> LogLines[_Request, _Response]: ...
    def size(self, request: _Request, response: _Response) -> int: ...
    def add(self, request: _Request, response: _Response, now: float) -> int: ...
    def put_line(self, line: str) -> int: ...
    def take(self) -> str: ...
