"""JavaScript in a process of its own: the engine, and what keeps it in its limits."""
