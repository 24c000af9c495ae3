"""Clients: WebSockets, event streams and requests, through proxies and TLS."""
