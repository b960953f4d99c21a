"""`gridwarden simulate`: a county whose truth is known, as files or through a broker."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from monitor.cli.opening import stop
from monitor.supervise import ExitCode


def simulate(
    *,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write readings.parquet, truth.parquet and register/ here.")
    ] = None,
    publish: Annotated[
        str | None, typer.Option("--publish", metavar="HOST:PORT", help="Publish to this broker (plain MQTT 3.1.1).")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="Simulated days.")] = 14,
    seed: Annotated[int, typer.Option(min=0, help="Which county.")] = 7,
    sites: Annotated[int, typer.Option(min=40, max=20_000, help="Sites of the county.")] = 240,
    minute_meters: Annotated[int, typer.Option(min=0, help="Sites that report every minute.")] = 12,
    start: Annotated[
        dt.datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="First day. Left out: the demo's, with --publish the last --days days."
        ),
    ] = None,
    day_s: Annotated[float, typer.Option(min=0.0, help="--publish: real seconds a day takes; 0 is full speed.")] = 0.0,
) -> None:
    """Simulate a county: write it as files for `replay`, or publish it as a bureau would. With both, first the files.

    A daemon that is to know the meters wants the register: write it with --out first and give it to the daemon.

    Exit codes: 64 nothing to do, 69 the broker cannot be reached, 73 the files cannot be written.
    """
    from models.simulated.county import CountySpec, build
    from models.simulated.files import write_parquet
    from monitor.demo.publisher import Progress, PublishError, connect, publish_county
    from monitor.demo.session import START

    if out is None and publish is None:
        stop("nothing to do: give --out DIR, --publish HOST:PORT, or both", ExitCode.USAGE)
    host, port = _broker(publish) if publish is not None else ("", 0)
    first = start.date() if start is not None else START if publish is None else _days_ago(days)
    county = build(CountySpec(seed=seed, start=first, days=days, sites=sites, minute_meters=minute_meters))
    if out is not None:
        try:
            write_parquet(county, out)
        except OSError as error:
            stop(f"{out}: cannot be written: {error.strerror or error}", ExitCode.CANNOT_CREATE)
        typer.echo(f"{out}: readings.parquet, truth.parquet, register/")
    if publish is None:
        return
    last = first + dt.timedelta(days=days - 1)

    def on_progress(progress: Progress) -> None:
        if progress.done:
            typer.echo(f"published {progress.published} readings of {first} to {last}")

    try:
        client = connect(host, port, f"simulated-county-{seed}")
        try:
            publish_county(county, client, on_progress, day_s=day_s)
        finally:
            client.disconnect()
            client.loop_stop()
    except PublishError as error:
        stop(str(error), ExitCode.UNAVAILABLE)


def _broker(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        stop(f"--publish {text}: write it as HOST:PORT", ExitCode.USAGE)
    return host, int(port)


def _days_ago(days: int) -> dt.date:
    """The first of the last whole days, so that a daemon does not find the readings too old."""
    from models.domain.clock import SystemClock
    from models.simulated.spec import ZONE

    today = dt.datetime.fromtimestamp(SystemClock().wall_ms() / 1000.0, ZoneInfo(ZONE)).date()
    return today - dt.timedelta(days=days)
