from collections.abc import Callable
from typing import Generic, TypeVar, final

from beamfast._fields import Fields

_Request = TypeVar("_Request")

@final
class HeadScanner(Generic[_Request]):
    def __new__(
        cls,
        model: _Request,
        fields: type[Fields],
        split_path: Callable[[str], tuple[str, str, str] | None],
        is_host: Callable[[bytes], bool],
        line_limit: int,
        head_limit: int,
        field_limit: int,
    ) -> HeadScanner[_Request]: ...
    def read(self, data: bytes) -> _Request | None: ...
