"""How commands end that cannot do what they were asked."""

from __future__ import annotations

import sys
from typing import Final, NoReturn

import click

#: Exit codes beside 0 (done).
FAILURE: Final = 1
UNUSABLE: Final = 2
PORT_IN_USE: Final = 3


def fail(text: str, code: int) -> NoReturn:
    """Say what is wrong, and end."""
    click.echo(f"beamfast: {text}", err=True)
    sys.exit(code)
