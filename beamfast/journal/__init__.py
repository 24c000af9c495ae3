"""The ordered, durable log of every document: interface and implementations."""
