from collections.abc import Callable
from typing import Any, Generic, TypeVar, final

from typing_extensions import disjoint_base

from beamfast._fields import Fields

@disjoint_base
class RequestValues:
    method: str
    target: str
    url: str
    path: str
    query: str
    http_version: str
    remote_addr: str
    user: str | None
    handshake_key: str
    headers: Any
    roles: frozenset[str]
    expires: float | None
    is_secure: bool
    probe: bool
    started: float
    _source: Any
    _body: bytes | None
    _is_websocket: bool | None
    _id: str
    _is_cut: bool

_Request = TypeVar("_Request", bound=RequestValues)

@final
class HeadScanner(Generic[_Request]):
    def __new__(
        cls,
        kind: type[_Request],
        fields: type[Fields],
        split_path: Callable[[str], tuple[str, str, str] | None],
        is_host: Callable[[bytes], bool],
        line_limit: int,
        head_limit: int,
        field_limit: int,
    ) -> HeadScanner[_Request]: ...
    def read(self, data: bytes) -> _Request | None: ...
