"""
Cross-origin reads: which other sites' scripts may see answers.

Standard: the CORS protocol of Fetch, section 3.2. It lets browsers show answers to
scripts; writes from other origins are the host's own matter (``allowedOrigins``).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from beamfast.http import Request, Response
from beamfast.pipeline import Context, Plugin

logger: logging.Logger = logging.getLogger("beamfast.cors")


@dataclass(frozen=True)
class Options:
    """
    Options of the cors plugin.

    Attributes:
        allowed_origins: origins whose scripts may read answers; ``*`` for all.
        allowed_methods: told to browsers that ask beforehand.
        allowed_headers: request headers that scripts may set.
        exposed_headers: response headers that scripts may read.
        allow_credentials: requests may carry cookies and passwords.
        max_age: seconds for which browsers remember; None leaves it to them.
        preflight_status: answer to browsers that ask beforehand.
    """

    allowed_origins: tuple[str, ...] = ("*",)
    allowed_methods: tuple[str, ...] = ("GET", "POST", "PUT", "DELETE", "OPTIONS")
    # A selector is no byte range, so Fetch does not let Range pass unasked.
    allowed_headers: tuple[str, ...] = (
        "Content-Type",
        "Authorization",
        "X-Requested-With",
        "Range",
    )
    exposed_headers: tuple[str, ...] = (
        "Content-Range",
        "Accept-Ranges",
        "Allow",
        "ETag",
    )
    allow_credentials: bool = False
    max_age: int | None = None
    preflight_status: int = 204

    def __post_init__(self) -> None:
        """Refuse an answer that browsers would take for a no (Fetch, 4.8)."""
        if not 200 <= self.preflight_status < 300:
            raise ValueError(f"preflight_status: {self.preflight_status} is not 2xx")


class Cors(Plugin[Options]):
    """Answer preflights, and mark every answer with who may read it."""

    name = "cors"
    aliases: ClassVar[Mapping[str, str]] = {
        "credentials": "allow_credentials",
        "expose_headers": "exposed_headers",
        "origins": "allowed_origins",
        "methods": "allowed_methods",
        "headers": "allowed_headers",
    }

    def __init__(self, options: Options | None = None) -> None:
        super().__init__(options)
        self._origins = frozenset(map(str.lower, self.options.allowed_origins))
        self._allows_all = "*" in self._origins

    def start(self, context: Context) -> None:
        """Warn of the one combination that trusts every site there is."""
        if self._allows_all and self.options.allow_credentials:
            logger.warning(
                "cors: every site can read what its visitors may see here; "
                "name the allowed_origins"
            )

    def handle_request(self, request: Request, context: Context) -> Response | None:
        """Answer a preflight (Fetch, 3.2.2); leave every other request."""
        if (
            request.method != "OPTIONS"
            or "access-control-request-method" not in request.headers
        ):
            return None
        options = self.options
        methods = ", ".join(options.allowed_methods)
        response = Response(options.preflight_status, headers=[("Allow", methods)])
        headers = response.headers
        if self._allowed(request) is None:
            return response
        headers.set("Access-Control-Allow-Methods", methods)
        headers.set("Access-Control-Allow-Headers", ", ".join(options.allowed_headers))
        if options.max_age is not None:
            headers.set("Access-Control-Max-Age", str(options.max_age))
        return response

    def handle_response(
        self, request: Request, response: Response, context: Context
    ) -> None:
        """Say who may read the answer, an error as well."""
        headers = response.headers
        if not self._allows_all or self.options.allow_credentials:
            # So that no cache hands one site's answer to another (Fetch, 3.2.5).
            headers.add_token("Vary", "Origin")
        allowed = self._allowed(request)
        if allowed is None:
            return
        headers.set("Access-Control-Allow-Origin", allowed)
        if self.options.allow_credentials:
            headers.set("Access-Control-Allow-Credentials", "true")
        if self.options.exposed_headers and request.method != "OPTIONS":
            exposed = ", ".join(self.options.exposed_headers)
            headers.set("Access-Control-Expose-Headers", exposed)

    def _allowed(self, request: Request) -> str | None:
        """Return what to say about the origin of a request, None for nothing."""
        origin = request.headers.get("origin")
        if not origin or not (self._allows_all or origin.lower() in self._origins):
            return None
        # With credentials browsers do not take "*" for an answer (Fetch, 4.10).
        is_any = self._allows_all and not self.options.allow_credentials
        return "*" if is_any else origin
