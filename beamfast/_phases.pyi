from collections.abc import Awaitable, Callable
from types import GenericAlias
from typing import Any, Generic, TypeVar

from typing_extensions import disjoint_base

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Context = TypeVar("_Context")

_Needs = tuple[tuple[bytes, bytes], ...] | None

@disjoint_base
class Phases(Generic[_Request, _Response, _Context]):
    def __class_getitem__(cls, item: Any, /) -> GenericAlias: ...
    @property
    def context(self) -> _Context: ...
    @property
    def request_phase(self) -> tuple[tuple[_Needs, Callable[..., Any]], ...]: ...
    @property
    def response_phase(self) -> tuple[tuple[_Needs, Callable[..., Any]], ...]: ...
    def __init__(
        self,
        response: type[_Response],
        context: _Context,
        request_phase: tuple[tuple[_Needs, Callable[..., Any]], ...],
        response_phase: tuple[tuple[_Needs, Callable[..., Any]], ...],
        server_header: str | None,
    ) -> None: ...
    def handle(self, request: _Request) -> _Response | Awaitable[_Response]: ...
    def ask(
        self, request: _Request
    ) -> _Response | Awaitable[_Response | None] | None: ...
    def answer(
        self, request: _Request, response: _Response, index: int = 0
    ) -> _Response | Awaitable[_Response]: ...
    def answer_to(self, error: Exception, request: _Request) -> _Response: ...
    def unanswered(self, request: _Request) -> _Response: ...
    def note(self, error: Exception, request: _Request) -> None: ...
    def wait_handle(
        self, request: _Request, pending: Awaitable[_Response | None]
    ) -> Awaitable[_Response]: ...
    def wait_ask(
        self,
        request: _Request,
        pending: Awaitable[_Response | None],
        phase: tuple[tuple[_Needs, Callable[..., Any]], ...],
    ) -> Awaitable[_Response | None]: ...
    def wait_answer(
        self,
        request: _Request,
        response: _Response,
        pending: Awaitable[_Response | None],
        index: int,
    ) -> Awaitable[_Response]: ...
