"""Topics of this process, and the doorbell of the others."""
