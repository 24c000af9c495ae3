"""What the supervisor starts: ``python -m beamfast.server worker <descriptor>``."""

import sys
from pathlib import Path

from beamfast.server.process import print_config, run_worker

if sys.argv[1:2] == ["worker"]:
    sys.exit(run_worker(int(sys.argv[2])))
elif sys.argv[1:2] == ["config"]:
    sys.exit(print_config(Path(sys.argv[2]), sys.argv[3]))
else:
    sys.exit("This is started by beamfast; see beamfast --help.")
