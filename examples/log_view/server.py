"""
Watch a log file in the browser.

Run it with ``python examples/log_view/server.py FILE`` and open the address that it
prints. Anybody on this machine may look, because it says ``public`` and listens on
the loopback address; leave it out and put ``authorization`` in front elsewhere.
"""

import os
import sys
import tempfile
from pathlib import Path

import beamfast


def main() -> None:
    log = Path(sys.argv[1] if len(sys.argv) > 1 else "/var/log/syslog").resolve()
    options = {
        "urls": ("/logs",),
        "file": {"log": str(log)},
        "refresh_ms": 200,
        "public": True,
    }
    plugins = (beamfast.PluginConfig("log-view", options),)
    with tempfile.TemporaryDirectory() as folder:
        host = beamfast.HostConfig(Path(folder), plugins=plugins)
        port = int(os.environ.get("PORT", "8000"))
        server = beamfast.Server(beamfast.ServerConfig((host,), port=port))
        server.run(lambda url: print(f"Ready at {url}logs", flush=True))


if __name__ == "__main__":
    main()
