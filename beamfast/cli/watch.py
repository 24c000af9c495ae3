"""``beamfast watch URL``: the edits of a page as they come."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

import click

from beamfast.cli.failure import FAILURE, UNUSABLE, fail
from beamfast.client.eventsource import event_source
from beamfast.documents.streamitem import Item, parse
from beamfast.errors import ConnectError, PayloadTooBig
from beamfast.protocol.eventsource import MessageEvent


@click.command()
@click.argument("url")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each item.")
@click.option("--since", default="", metavar="VERSION", help="Begin after VERSION.")
@click.option("-n", "--number", type=click.IntRange(1), help="End after so many items.")
def watch(url: str, *, as_json: bool, since: str, number: int | None) -> None:
    """
    Print the stream items of URL as they come, until Ctrl-C.

    When the connection breaks it is made again, and what was missed comes first.

    \b
    Examples:
      beamfast watch http://localhost:3000/
      beamfast watch --json --since 12-0123456789abcdef http://localhost:3000/a.html
    """  # noqa: D301 - \b keeps click from filling the examples
    try:
        asyncio.run(_watch(url, since, number, as_json=as_json))
    except (ConnectError, OSError, PayloadTooBig) as error:
        fail(f"{url}: {error or 'no answer in time'}", FAILURE)
    except ValueError as error:
        fail(str(error), UNUSABLE)


async def _watch(url: str, since: str, number: int | None, *, as_json: bool) -> None:
    seen = 0
    source = event_source(
        url, last_event_id=since, proxy="env", max_size=2**25, silence_timeout=60.0
    )
    async with source, aclosing(source.__aiter__()) as events:
        async for event in events:
            click.echo(json_of(event) if as_json else text_of(event))
            seen += 1
            if seen == number:
                return


def item_of(event: MessageEvent) -> Item | None:
    """Return the item in an event; None when it holds something else."""
    try:
        return parse(event.data)
    except ValueError:
        return None


def text_of(event: MessageEvent) -> str:
    """Return an event as lines for people."""
    item = item_of(event)
    if item is None:
        head = f"{event.last_event_id}  {event.type}".strip()
        return f"{head}\n{event.data}"
    head = f"{event.last_event_id}  {item.method}  {item.url}  {item.selector}".strip()
    return head if item.content is None else f"{head}\n{item.content}"


def json_of(event: MessageEvent) -> str:
    """Return an event as one line of JSON."""
    item = item_of(event)
    fields: dict[str, Any] = {"id": event.last_event_id, "event": event.type}
    if item is None:
        fields["data"] = event.data
    else:
        fields |= asdict(item)
        del fields["itemtype"], fields["version"]
    return json.dumps(fields, ensure_ascii=False)
