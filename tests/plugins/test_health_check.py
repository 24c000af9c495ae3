"""The probes of a server that is well, stopping, without root, or short of disk."""

import json
import re
import shutil
import time

import pytest

from beamfast.errors import ConfigError
from beamfast.server.config import PluginConfig
from beamfast.server.plugin_types import load_plugin


@pytest.fixture
def probed(make_site):
    """Make a site with these options."""
    return lambda **options: make_site(
        PluginConfig("health-check", options), PluginConfig("file-handler")
    )


async def probe(site, path: str) -> tuple[int, str, list[str]]:
    response = await site.ask("GET", path)
    report = json.loads(response.body)
    return response.status, report["status"], report.get("checks", [])


@pytest.mark.parametrize("path", ["/health", "/ready", "/live", "/health?verbose=1"])
async def test_probes_say_healthy_in_json(probed, path):
    response = await probed().ask("GET", path)
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-cache, no-store, must-revalidate"
    report = json.loads(response.body)
    assert report["status"] == "healthy"
    assert all(isinstance(check, str) for check in report["checks"])
    assert abs(report["timestamp"] - time.time()) < 60
    assert isinstance(report["timestamp"], int)


async def test_health_is_everything_together(probed):
    _, _, checks = await probe(probed(), "/health")
    patterns = [
        r"server: beamfast/\S+, up for \d+ s",
        r"document root: present",
        r"disk space: \d+ MiB free",
        r"connections: 0",
    ]
    assert len(checks) == len(patterns)
    for pattern, check in zip(patterns, checks, strict=True):
        assert re.fullmatch(pattern, check)


async def test_without_details_there_is_only_the_status(probed):
    response = await probed(detailed_checks=False).ask("GET", "/health")
    assert json.loads(response.body) == {"status": "healthy"}


async def test_a_stopping_server_lives_and_is_not_ready(probed):
    site = probed()
    site.host.pipeline.context.status.is_draining = lambda: True
    status, state, checks = await probe(site, "/ready")
    assert (status, state) == (503, "unhealthy")
    assert "server: stopping" in checks
    assert (await probe(site, "/health"))[0] == 503
    assert (await probe(site, "/live"))[:2] == (200, "healthy")


async def test_a_server_without_its_root_lives_and_is_not_ready(probed, root):
    site = probed()
    shutil.rmtree(root)
    status, _, checks = await probe(site, "/ready")
    assert status == 503
    assert checks == ["document root: cannot be read"]
    assert (await probe(site, "/live"))[0] == 200


async def test_a_full_disk_degrades_and_serving_goes_on(probed):
    site = probed(min_disk_space_mb=2**60)
    assert (await probe(site, "/ready"))[:2] == (200, "degraded")
    assert (await probe(site, "/health"))[:2] == (200, "degraded")
    assert (await probe(site, "/live"))[:2] == (200, "healthy")


async def test_the_disk_is_left_alone_when_asked(probed):
    site = probed(check_disk_space=False, min_disk_space_mb=2**60)
    assert await probe(site, "/ready") == (200, "healthy", ["document root: present"])


async def test_connections_are_counted(probed):
    site = probed()
    site.host.pipeline.context.status.connections = lambda: 7
    assert "connections: 7" in (await probe(site, "/health"))[2]


async def test_head_is_a_probe_and_other_methods_are_not(probed):
    site = probed()
    assert (await site.ask("HEAD", "/live")).status == 200
    assert (await site.ask("DELETE", "/live")).status == 404


async def test_endpoints_can_be_moved_and_left_out(probed):
    site = probed(health_endpoint="/-/health", live_endpoint="")
    assert (await probe(site, "/-/health"))[0] == 200
    assert (await site.ask("GET", "/health")).status == 404
    assert (await site.ask("GET", "/live")).status == 404


def test_an_endpoint_that_no_path_can_be_is_a_mistake():
    with pytest.raises(ConfigError, match="does not begin with a slash"):
        load_plugin(PluginConfig("health-check", {"live_endpoint": "live"}))


async def test_figures_are_there_on_request(probed, root):
    site = probed(metrics_endpoint="/metrics")
    response = await site.ask("GET", "/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    samples = dict(
        line.split(" ")
        for line in response.body.decode().splitlines()
        if line[0] != "#"
    )
    assert samples.keys() == {
        "beamfast_uptime_seconds",
        "beamfast_connections",
        "beamfast_draining",
        "beamfast_disk_free_bytes",
    }
    assert samples["beamfast_draining"] == "0"
    shutil.rmtree(root)
    assert b"disk_free" not in (await site.ask("GET", "/metrics")).body
    assert (await probed().ask("GET", "/metrics")).status == 404
