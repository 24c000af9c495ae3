"""What the supervisor starts: ``python -m beamfast.server worker <descriptor>``."""

import sys
from pathlib import Path

match sys.argv[1:]:
    # A supervisor stays small: it loads nothing of what its workers need.
    case ["worker", _descriptor]:
        from beamfast.server.process import run_worker

        sys.exit(run_worker(int(_descriptor)))
    case ["config", _path, _overrides]:
        from beamfast.server.process import print_config

        sys.exit(print_config(Path(_path), _overrides))
    case ["supervise", _descriptor]:
        from beamfast.server.resuming import resume

        sys.exit(resume(int(_descriptor)))
    case _:
        sys.exit("This is started by beamfast; see beamfast --help.")
