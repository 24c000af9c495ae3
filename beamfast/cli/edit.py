"""``beamfast get|put|post|delete URL SELECTOR``: one element of a served page."""

from __future__ import annotations

import asyncio
import sys
from typing import Final
from urllib.parse import quote

import click

from beamfast.cli.failure import FAILURE, UNUSABLE, fail
from beamfast.client.dial import Route
from beamfast.client.fetch import fetch
from beamfast.errors import ConnectError
from beamfast.protocol.response import ServerResponse

#: What stands in the field as it is; a percent sign does not.
_SAFE: Final = " !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"

_SECONDS: Final = 30.0


def _command(method: str, text: str, *, has_content: bool) -> click.Command:
    """Return the command that sends requests of one method."""

    def send(
        url: str,
        selector: str | None,
        content: str | None = None,
        header: tuple[str, ...] = (),
        *,
        verbose: bool = False,
    ) -> None:
        fields = [_field(one) for one in header]
        if selector is not None:
            fields.append(("Range", f"selector={quote(selector, _SAFE)}"))
        body = _body(content) if has_content else None
        try:
            response, answer = asyncio.run(_send(method, url, fields, body))
        except (ConnectError, OSError) as error:
            fail(f"{url}: {error or 'no answer in time'}", FAILURE)
        except ValueError as error:
            fail(str(error), UNUSABLE)
        _show(response, answer, verbose=verbose)

    parameters: list[click.Parameter] = [
        click.Argument(["url"]),
        click.Argument(["selector"], required=method != "GET"),
    ]
    if has_content:
        parameters.append(click.Argument(["content"], required=False))
    parameters += [
        click.Option(
            ["-H", "--header"],
            multiple=True,
            metavar="NAME:VALUE",
            help="A further field, such as If-Match:VERSION; may be repeated.",
        ),
        click.Option(
            ["-v", "--verbose"], is_flag=True, help="Show status and fields first."
        ),
    ]
    return click.Command(
        method.lower(),
        callback=send,
        params=parameters,
        help=text,
        no_args_is_help=True,
    )


def _field(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        fail(f"a field has the form NAME:VALUE, not {text!r}", UNUSABLE)
    return name.strip(), value.strip()


def _body(content: str | None) -> bytes:
    """Return what to send: the argument, or standard input."""
    if content is None or content == "-":
        return sys.stdin.buffer.read()
    return content.encode()


async def _send(
    method: str, url: str, fields: list[tuple[str, str]], body: bytes | None
) -> tuple[ServerResponse, bytes]:
    async with asyncio.timeout(_SECONDS):
        exchange = await fetch(
            method, url, Route(proxy="env"), headers=fields, body=body
        )
        try:
            return exchange.response, await exchange.content()
        finally:
            exchange.close()


def _show(response: ServerResponse, answer: bytes, *, verbose: bool) -> None:
    if verbose:
        click.echo(f"{response.status}", err=True)
        for name, value in response.headers:
            click.echo(f"{name}: {value}", err=True)
    if response.status < 400:
        sys.stdout.buffer.write(answer)
        if answer and sys.stdout.isatty() and not answer.endswith(b"\n"):
            sys.stdout.buffer.write(b"\n")
        sys.stdout.flush()
        return
    code = response.headers.get("x-beamfast-error")
    what = answer.decode("utf-8", "replace").strip() or "no reason given"
    fail(f"{response.status} {what}" + (f" ({code})" if code else ""), FAILURE)


COMMANDS: Final = {
    "get": _command(
        "GET",
        "Print the elements of URL that match SELECTOR; the whole page without one.",
        has_content=False,
    ),
    "put": _command(
        "PUT",
        "Replace the first element that matches SELECTOR by CONTENT, an HTML element."
        " Without CONTENT, or with '-', it is read from standard input.",
        has_content=True,
    ),
    "post": _command(
        "POST",
        "Append CONTENT to the first element that matches SELECTOR. Without CONTENT,"
        " or with '-', it is read from standard input.",
        has_content=True,
    ),
    "delete": _command(
        "DELETE",
        "Remove the first element that matches SELECTOR.",
        has_content=False,
    ),
}
