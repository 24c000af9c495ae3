"""Asyncio protocols: drivers meet transports."""
