"""One file per plugin; none knows another."""
