"""HTML documents: bytes, selectors, edits. Nothing here waits or knows a loop."""
