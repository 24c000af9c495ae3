from typing import Generic, TypeVar, final

_Kind = TypeVar("_Kind")

@final
class Slots(Generic[_Kind]):
    def __new__(cls, kind: type[_Kind], base: type = ...) -> Slots[_Kind]: ...
    def copy(self, model: _Kind) -> _Kind: ...
