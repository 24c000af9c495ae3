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
        self._lines: list[str] = []
        self._full = max(self.options.buffer_size, 1)
        self._file: LogFile | None = None
        self._is_json = self.options.format == "json"
        self._is_combined = self.options.format == "combined"
        # The time as text, and when it is another one.
        self._stamp = ""
        self._until = 0.0

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
        body, size = response.body, 0
        if request.method != "HEAD":
            if isinstance(body, bytes):
                size = len(body)
            elif response.headers.has(b"content-length"):
                # A file that is sent as it is read.
                size = int(response.headers["content-length"])
        now = time.time()
        if self._is_json:
            line = self._record(request, response.status, size, now)
        else:
            if now >= self._until:
                self._format_second(int(now))
            user = request.user
            line = (
                f"{request.remote_addr} - {_escaped(user) if user else '-'} "
                f'{self._stamp} "{request.method} {_escaped(request.target)} '
                f'HTTP/{request.http_version}" {response.status} {size}'
            )
            if self._is_combined:
                referer, agent = _sender(request)
                line += f' "{_escaped(referer)}" "{_escaped(agent)}"'
        lines = self._lines
        lines.append(line)
        # Once in a loop turn, however many answers it gives.
        if len(lines) == self._full:
            asyncio.get_running_loop().call_soon(self._write)

    def _format_second(self, second: int) -> None:
        stamp = time.strftime("[%d/%b/%Y:%H:%M:%S +0000]", time.gmtime(second))
        self._stamp, self._until = stamp, second + 1.0

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        if not lines:
            return
        text = "\n".join(lines) + "\n"
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

    def _record(self, request: Request, status: int, size: int, now: float) -> str:
        referer, agent = _sender(request)
        return json.dumps(
            {
                "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
                "remote_ip": request.remote_addr,
                "user": request.user,
                "method": request.method,
                "uri": request.target,
                "version": f"HTTP/{request.http_version}",
                "status": status,
                "size": size,
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


# The same users, pages and browsers come again and again.
@lru_cache(512)
def _escaped(text: str) -> str:
    return text.translate(_ESCAPES) if _UNSAFE.search(text) else text
