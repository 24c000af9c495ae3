"""``python -m beamfast``."""

from beamfast.cli import main

main(prog_name="beamfast")
