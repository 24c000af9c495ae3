from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterable, Set
from typing import Any, Self, final

from beamfast._lanes import Counters
from beamfast._outbound import Outbound
from beamfast._topic import Topic
from beamfast._wire import LoopState

@final
class TopicRegistry:
    def __new__(
        cls,
        loop: AbstractEventLoop,
        state: LoopState | None = None,
        *,
        ordered: bool = False,
    ) -> Self: ...
    @property
    def state(self) -> LoopState: ...
    @property
    def counters(self) -> Counters: ...
    @property
    def sends(self) -> int: ...
    def subscribe(
        self,
        subscriber: Outbound,
        name: str,
        wire_form: Callable[[Any], bytes],
        filters: frozenset[Any] = ...,
        *,
        slow_consumer: str = "close",
        refresh: Callable[[Any, str, Callable[[Any], bytes]], object] | None = None,
    ) -> bool: ...
    def unsubscribe(self, subscriber: Outbound, name: str) -> bool: ...
    def resume(self, subscriber: Outbound, name: str, copy: bytes) -> bool: ...
    def missed(self, subscriber: Outbound, name: str) -> int: ...
    def publish(
        self,
        name: str,
        message: object,
        matched: Set[Any] = ...,
        exclude: Outbound | Iterable[Outbound] | None = None,
        same_item: bool = False,
        key: Any = None,
    ) -> int: ...
    def subscribers(self, name: str) -> int: ...
    def topic(self, name: str) -> Topic | None: ...
    def topics_of(self, subscriber: Outbound) -> list[str]: ...
    def topics(self) -> list[str]: ...

def has_topics(subscriber: Outbound) -> bool: ...
