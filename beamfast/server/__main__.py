"""What the supervisor starts: ``python -m beamfast.server worker <descriptor>``."""

import sys
from pathlib import Path

from beamfast.server.process import print_config, run_worker

match sys.argv[1:]:
    case ["worker", descriptor]:
        sys.exit(run_worker(int(descriptor)))
    case ["config", path]:
        sys.exit(print_config(Path(path)))
    case _:
        sys.exit("This is started by beamfast; see beamfast --help.")
