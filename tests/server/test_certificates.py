"""A certificate for each host, and new ones without a restart."""

import ssl

import pytest

from beamfast.errors import ConfigError
from beamfast.server.certificates import Certificates
from beamfast.server.config import HostConfig


@pytest.fixture
def host(tmp_path, authority):
    def make(name: str, *certified: str) -> HostConfig:
        file = authority.issue(*(certified or (name,)), file=f"{len(name)}.pem")
        return HostConfig(tmp_path, (name,), ssl_cert=file)

    return make


def handshake(certificates: Certificates, authority, name: str) -> str:
    """Return the name in the certificate that a client of ``name`` gets."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    trust = authority.client()
    trust.check_hostname = False
    client = trust.wrap_bio(to_client, to_server, server_hostname=name or None)
    server = certificates.context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    names = client.getpeercert()["subjectAltName"]
    return names[0][1]


def test_the_name_that_a_client_asks_for_chooses(authority, host):
    certificates = Certificates(
        [
            host("one.example"),
            host("*.wild.example"),
            HostConfig(authority._folder, ("plain.example",)),
            host("*", "any.example"),
        ]
    )
    for asked, found in [
        ("one.example", "one.example"),
        ("ONE.example", "one.example"),
        ("a.b.wild.example", "*.wild.example"),
        ("plain.example", "any.example"),
        ("", "any.example"),
    ]:
        assert handshake(certificates, authority, asked) == found


def test_without_a_host_for_all_the_first_one_answers(authority, host):
    certificates = Certificates([host("one.example"), host("second.example")])
    assert handshake(certificates, authority, "other.example") == "one.example"


def test_line_61_a_replaced_certificate_is_used_for_new_handshakes(authority, host):
    certificates = Certificates([host("one.example")])
    assert handshake(certificates, authority, "one.example") == "one.example"
    authority.issue("new.example", file="11.pem")
    certificates.refresh()
    assert handshake(certificates, authority, "one.example") == "new.example"


def test_line_61_what_cannot_be_loaded_changes_nothing(
    authority, host, tmp_path, caplog
):
    certificates = Certificates([host("one.example")])
    for text in ("nonsense", None):
        file = tmp_path / "11.pem"
        file.write_text(text) if text else file.unlink()
        certificates.refresh()
        assert handshake(certificates, authority, "one.example") == "one.example"
        assert "the old one stays" in caplog.text
        caplog.clear()
    authority.issue("new.example", file="11.pem")
    certificates.refresh()
    assert handshake(certificates, authority, "one.example") == "new.example"


def test_a_certificate_that_cannot_be_used_is_a_mistake(tmp_path):
    file = tmp_path / "host.pem"
    file.write_text("nonsense")
    with pytest.raises(ConfigError, match=r"host\.pem"):
        Certificates([HostConfig(tmp_path, ssl_cert=file)])
