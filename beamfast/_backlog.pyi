from typing import final

@final
class Batch: ...

@final
class Backlog: ...
