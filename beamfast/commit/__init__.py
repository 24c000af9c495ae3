"""The only writer of documents: it orders, stores and publishes their changes."""
