"""
One line per answer, in the common, combined or JSON form.

Configure it last, so that it sees the final status. A log file that cannot be
written falls back to standard output and never breaks serving.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from beamfast._logline import LogLines
from beamfast.http import Request, Response
from beamfast.logfile import LogFile
from beamfast.pipeline import Context, Plugin

logger: logging.Logger = logging.getLogger("beamfast.access_log")

_ESCAPES: Final = {
    code: f"\\x{code:02x}" for code in (*range(0x20), 0x22, 0x5C, *range(0x7F, 0xA0))
}
_UNSAFE: Final = re.compile(r'[\x00-\x1f"\\\x7f-\x9f]')


@dataclass(frozen=True)
class Options:
    """
    Options of the access-log plugin.

    Attributes:
        log_file: path, also as ``file://`` URL; standard output when empty.
        format: ``common``, ``combined`` or ``json``.
        buffer_size: lines kept before they are written.
        rotate_size_mb: MiB after which a new file is begun; 0 for never. The old
            one gets the time, as ``access.log.20260131_235959``.
        rotate_daily: begin a new file each day (UTC).
    """

    log_file: str = ""
    format: Literal["common", "combined", "json"] = "common"
    buffer_size: int = 1
    rotate_size_mb: float = 0.0
    rotate_daily: bool = False


class AccessLog(Plugin[Options]):
    """Write one line for every response, upgrades included."""

    name = "access-log"

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        is_combined = self.options.format == "combined"
        self._lines = LogLines(Request, Response, _escaped, _stamp, is_combined)
        self._full = max(self.options.buffer_size, 1)
        self._file: LogFile | None = None
        self._is_json = self.options.format == "json"

    def start(self, context: Context) -> None:
        """Open the log file."""
        name = self.options.log_file.removeprefix("file://")
        if not name:
            return
        try:
            self._file = LogFile(
                Path(name),
                max_bytes=int(self.options.rotate_size_mb * 2**20),
                is_daily=self.options.rotate_daily,
            )
        except OSError as error:
            logger.warning("access log %s: %s; using standard output", name, error)

    def stop(self) -> None:
        """Write what is buffered and close the file."""
        self._write()
        if self._file is not None:
            self._file.close()
            self._file = None

    def handle_response(
        self, request: Request, response: Response, context: Context
    ) -> None:
        """Note the answer."""
        now = time.time()
        if self._is_json:
            waiting = self._lines.put_line(self._record(request, response, now))
        else:
            waiting = self._lines.add(request, response, now)
        # Once in a loop turn, however many answers it gives.
        if waiting == self._full:
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        text = self._lines.take()
        if not text:
            return
        try:
            if self._file is None:
                sys.stdout.write(text)
                sys.stdout.flush()
            else:
                self._file.write(text)
        except (OSError, ValueError) as error:
            logger.warning("access log: %s", error)
            file, self._file = self._file, None
            if file is not None:
                file.close()

    def _record(self, request: Request, response: Response, now: float) -> str:
        referer, agent = _sender(request)
        return json.dumps(
            {
                "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
                "remote_ip": request.remote_addr,
                "user": request.user,
                "method": request.method,
                "uri": request.target,
                "version": f"HTTP/{request.http_version}",
                "status": response.status,
                "size": self._lines.size(request, response),
                "user_agent": agent,
                "referer": referer,
                "request_time_ms": round(
                    (time.monotonic() - request.started) * 1000, 3
                ),
            }
        )


def _sender(request: Request) -> tuple[str, str]:
    headers = request.headers
    return headers.get("referer") or "-", headers.get("user-agent") or "-"


def _stamp(second: int) -> str:
    return time.strftime("[%d/%b/%Y:%H:%M:%S +0000]", time.gmtime(second))


# The same users, pages and browsers come again and again.
@lru_cache(512)
def _escaped(text: str) -> str:
    return text.translate(_ESCAPES) if _UNSAFE.search(text) else text
