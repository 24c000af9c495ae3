"""
A to-do list that everybody sees change, kept in the page itself.

Run it with ``python examples/live_todo/server.py``, open the address that it prints
in two windows, and look at ``index.html`` afterwards. The program is a few lines
because the page does everything with ordinary requests.
"""

import os
from pathlib import Path

import beamfast


def main() -> None:
    folder = Path(os.environ.get("SITE", Path(__file__).parent))
    server = beamfast.Server(folder, port=int(os.environ.get("PORT", "8000")))
    server.run(lambda url: print(f"Ready at {url}", flush=True))


if __name__ == "__main__":
    main()
