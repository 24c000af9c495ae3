"""Files that the server itself serves."""
