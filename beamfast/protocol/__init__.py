"""Sans-I/O drivers: bytes in, events and bytes out; no socket, clock or task."""
