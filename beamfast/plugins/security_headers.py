"""
Headers that tell browsers what a page may do, on every answer.

Content Security Policy, HSTS (RFC 6797) and their smaller siblings. Put it behind
the plugins that answer; where in the response phase does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from beamfast.http import Headers, Request, Response
from beamfast.pipeline import Context, Plugin


@dataclass(frozen=True)
class Options:
    """
    Options of the security-headers plugin; an empty value leaves a header out.

    Attributes:
        csp_policy: value of ``Content-Security-Policy``.
        hsts_max_age: seconds for which browsers insist on HTTPS; 0 for no header.
        hsts_include_subdomains: so for every name below the host's.
        hsts_preload: the host may be put on the lists that browsers ship.
        frame_options: value of ``X-Frame-Options``.
        content_type_options: send ``X-Content-Type-Options: nosniff``.
        referrer_policy: value of ``Referrer-Policy``.
        permissions_policy: value of ``Permissions-Policy``.
        xss_protection: value of ``X-XSS-Protection``.
    """

    csp_policy: str = (
        "default-src 'self'; "
        "script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'"
    )
    hsts_max_age: int = 31_536_000
    hsts_include_subdomains: bool = True
    hsts_preload: bool = False
    frame_options: str = "SAMEORIGIN"
    content_type_options: bool = True
    referrer_policy: str = "strict-origin-when-cross-origin"
    permissions_policy: str = ""
    xss_protection: str = "1; mode=block"


class SecurityHeaders(Plugin[Options]):
    """Set the configured headers, the same on each answer."""

    name = "security-headers"
    aliases: ClassVar[Mapping[str, str]] = {
        "x_frame_options": "frame_options",
        "x_content_type_options": "content_type_options",
    }

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        given = self.options
        sniffing = "nosniff" if given.content_type_options else ""
        plain = [
            ("Content-Security-Policy", given.csp_policy),
            ("X-Frame-Options", given.frame_options),
            ("X-Content-Type-Options", sniffing),
            ("Referrer-Policy", given.referrer_policy),
            ("Permissions-Policy", given.permissions_policy),
            ("X-XSS-Protection", given.xss_protection),
        ]
        fields = [(name, value) for name, value in plain if value]
        self._plain = Headers(fields)
        self._https = Headers(fields)
        if given.hsts_max_age:
            self._https.add("Strict-Transport-Security", _hsts(given))

    def handle_response(
        self, request: Request, response: Response, context: Context
    ) -> None:
        """Replace what is there under these names."""
        # HSTS over plain HTTP must not be sent (RFC 6797, 7.2).
        response.headers.update(self._https if request.is_https else self._plain)


def _hsts(options: Options) -> str:
    """Return the policy (RFC 6797, 6.1)."""
    value = f"max-age={options.hsts_max_age}"
    if options.hsts_include_subdomains:
        value += "; includeSubDomains"
    if options.hsts_preload:
        value += "; preload"
    return value
