"""An OpenID provider on loopback: discovery, code flow with PKCE, signed ID tokens."""

import base64
import functools
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT = "beam"
SECRET = "s3cret&%"  # encoded before it is sent (RFC 6749, 2.3.1)


@functools.cache
def new_key(kid: str) -> RSAKey:
    """Return a key; making one takes long enough to do it once."""
    return RSAKey.generate_key(2048, {"kid": kid})


class Provider(ThreadingHTTPServer):
    """One provider; tests change ``claims`` and ``changes`` to make it lie."""

    daemon_threads = True
    client_id = CLIENT
    client_secret = SECRET

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.key = new_key("one")
        self.claims = {"email": "ann@example.org", "email_verified": True}
        self.claims |= {"name": "Ann <A>", "sub": "1", "groups": ["editor"]}
        self.changes: dict[str, object] = {}
        self.user_info: dict[str, object] = {}
        self.emails: list[dict[str, object]] = []
        self.codes: dict[str, dict[str, str]] = {}
        self.requests: list[str] = []
        self.header = {"alg": "RS256"}
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def authorize(self, query: str) -> str:
        """Let the user log in; return where the browser is sent."""
        given = {name: values[0] for name, values in parse_qs(query).items()}
        assert given["client_id"] == CLIENT
        assert given["response_type"] == "code"
        assert given["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe()
        self.codes[code] = given
        answer = urlencode({"code": code, "state": given["state"]})
        return f"{given['redirect_uri']}?{answer}"

    def redeem(self, form: dict[str, str], credentials: str) -> dict[str, object]:
        """Exchange a code for tokens (RFC 6749, 4.1.3; RFC 7636, 4.6)."""
        expected = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        assert credentials == f"Basic {expected}", "client authentication"
        begun = self.codes.pop(form["code"])
        assert form["grant_type"] == "authorization_code"
        assert form["redirect_uri"] == begun["redirect_uri"]
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        assert challenge == begun["code_challenge"], "PKCE"
        token = {"access_token": "access", "token_type": "Bearer", "expires_in": 60}
        if "openid" in begun["scope"]:
            token["id_token"] = self.id_token(begun["nonce"])
        return token

    def id_token(self, nonce: str) -> str:
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 60}
        claims |= {"nonce": nonce, **self.claims, **self.changes}
        header = {"kid": self.key.kid, **self.header}
        if header["alg"] == "none":
            parts = [json.dumps(part).encode() for part in (header, claims)]
            text = b".".join(base64.urlsafe_b64encode(p).rstrip(b"=") for p in parts)
            return text.decode() + "."
        return jwt.encode(header, claims, self.key)

    def json_at(self, path: str) -> object:
        """Return what stands at an address that is only read."""
        if path == "/.well-known/openid-configuration":
            names = {"authorization_endpoint": "/authorize", "token_endpoint": "/token"}
            names |= {"jwks_uri": "/keys", "userinfo_endpoint": "/user"}
            places = {name: self.issuer + place for name, place in names.items()}
            return {"issuer": self.issuer, **places}
        if path == "/keys":
            return {"keys": [self.key.as_dict(private=False)]}
        return self.emails if path == "/user/emails" else self.user_info


class Handler(BaseHTTPRequestHandler):
    """Hands requests to the provider."""

    server: Provider

    def do_GET(self) -> None:
        place = urlsplit(self.path)
        self.server.requests.append(place.path)
        if place.path == "/authorize":
            self.send_response(302)
            self.send_header("Location", self.server.authorize(place.query))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if place.path.startswith("/user") and (
            self.headers["Authorization"] != "Bearer access"
        ):
            self.answer(401, {})
            return
        self.answer(200, self.server.json_at(place.path))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        try:
            answer = self.server.redeem(form, self.headers.get("Authorization", ""))
        except (AssertionError, KeyError) as error:
            self.answer(400, {"error": "invalid_grant", "why": str(error)})
        else:
            self.answer(200, answer)

    def answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""
