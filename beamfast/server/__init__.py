"""Composition: configuration, hosts, listeners, the server."""
