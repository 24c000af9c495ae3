"""
Probes for orchestrators and load balancers: is it alive, can it serve.

``/live`` says that the process answers; ``/ready`` that it can serve its documents
and is not stopping; ``/health`` both, with details. Another endpoint has figures in
the Prometheus text format 0.0.4.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from beamfast import __version__
from beamfast.http import Request, Response
from beamfast.pipeline import Context, Plugin

State = Literal["healthy", "degraded", "unhealthy"]

_WORST_LAST: Final[tuple[State, ...]] = ("healthy", "degraded", "unhealthy")


@dataclass(frozen=True)
class Options:
    """
    Options of the health-check plugin; an empty path leaves an endpoint out.

    Attributes:
        health_endpoint: path of everything together.
        ready_endpoint: path of "can serve".
        live_endpoint: path of "answers".
        metrics_endpoint: path of figures for Prometheus.
        detailed_checks: list what was looked at, and say when.
        check_disk_space: look at the disk of the document root.
        min_disk_space_mb: below it the state is degraded.
    """

    health_endpoint: str = "/health"
    ready_endpoint: str = "/ready"
    live_endpoint: str = "/live"
    metrics_endpoint: str = ""
    detailed_checks: bool = True
    check_disk_space: bool = True
    min_disk_space_mb: int = 100

    def __post_init__(self) -> None:
        """Refuse paths that no request could have."""
        for path in (
            self.health_endpoint,
            self.ready_endpoint,
            self.live_endpoint,
            self.metrics_endpoint,
        ):
            if path and not path.startswith("/"):
                raise ValueError(f"{path} does not begin with a slash")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and how it is."""

    text: str
    state: State = "healthy"


class HealthCheck(Plugin[Options]):
    """Answer the probes; every other request goes on."""

    name = "health-check"
    aliases: ClassVar[Mapping[str, str]] = {"min_disk_space": "min_disk_space_mb"}

    def handle_request(self, request: Request, context: Context) -> Response | None:
        """Look, and say what is the case now."""
        if request.method not in ("GET", "HEAD"):
            return None
        path = request.path
        options = self.options
        if path == options.live_endpoint:
            return self._report([_alive(context)])
        if path == options.ready_endpoint:
            return self._report(self._readiness(context))
        if path == options.health_endpoint:
            connections = Check(f"connections: {context.status.connections()}")
            checks = [_alive(context), *self._readiness(context), connections]
            return self._report(checks)
        if path == options.metrics_endpoint:
            return _metrics(context)
        return None

    def _readiness(self, context: Context) -> list[Check]:
        checks = []
        if context.status.is_draining():
            checks.append(Check("server: stopping", "unhealthy"))
        root = context.store.root
        if not os.access(root, os.R_OK | os.X_OK):
            return [*checks, Check("document root: cannot be read", "unhealthy")]
        checks.append(Check("document root: present"))
        if self.options.check_disk_space:
            free = shutil.disk_usage(root).free // 2**20
            enough = free >= self.options.min_disk_space_mb
            state: State = "healthy" if enough else "degraded"
            checks.append(Check(f"disk space: {free} MiB free", state))
        return checks

    def _report(self, checks: list[Check]) -> Response:
        state = max((check.state for check in checks), key=_WORST_LAST.index)
        report: dict[str, object] = {"status": state}
        if self.options.detailed_checks:
            report["checks"] = [check.text for check in checks]
            report["timestamp"] = int(time.time())
        return Response(
            503 if state == "unhealthy" else 200,
            json.dumps(report),
            content_type="application/json",
            headers=[("Cache-Control", "no-cache, no-store, must-revalidate")],
        )


def _alive(context: Context) -> Check:
    seconds = int(time.monotonic() - context.status.started)
    return Check(f"server: beamfast/{__version__}, up for {seconds} s")


def _metrics(context: Context) -> Response:
    """Return what the probes look at as gauges."""
    status = context.status
    figures: dict[str, float] = {
        "beamfast_uptime_seconds": round(time.monotonic() - status.started, 3),
        "beamfast_connections": status.connections(),
        "beamfast_draining": int(status.is_draining()),
    }
    if os.access(context.store.root, os.R_OK | os.X_OK):
        free = shutil.disk_usage(context.store.root).free
        figures["beamfast_disk_free_bytes"] = free
    lines = [
        f"# TYPE {name} gauge\n{name} {value}\n" for name, value in figures.items()
    ]
    return Response(
        200,
        "".join(lines),
        content_type="text/plain; version=0.0.4; charset=utf-8",
        headers=[("Cache-Control", "no-cache, no-store, must-revalidate")],
    )
