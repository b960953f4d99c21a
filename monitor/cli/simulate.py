"""`gridwarden simulate`: a county whose truth is known, as files or through a broker."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

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
        dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day; the demo's if left out.")
    ] = None,
    day_s: Annotated[float, typer.Option(min=0.0, help="--publish: real seconds a day takes; 0 is full speed.")] = 0.0,
) -> None:
    """Simulate a county: write it as files for `replay`, or publish it as a bureau would. With both, first the files.

    A daemon that is to know the meters wants the register: write it with --out. Exit codes: 64 nothing to do,
    69 the broker cannot be reached.
    """
    from models.simulated.county import CountySpec, build
    from models.simulated.files import write_parquet
    from monitor.demo.publisher import Progress, PublishError, connect, publish_county
    from monitor.demo.session import START

    if out is None and publish is None:
        stop("nothing to do: give --out DIR, --publish HOST:PORT, or both", ExitCode.USAGE)
    first = start.date() if start is not None else START
    county = build(CountySpec(seed=seed, start=first, days=days, sites=sites, minute_meters=minute_meters))
    if out is not None:
        write_parquet(county, out)
        typer.echo(f"{out}: readings.parquet, truth.parquet, register/")
    if publish is None:
        return
    host, _, port = publish.rpartition(":")
    if not host or not port.isdigit():
        stop(f"--publish {publish}: write it as HOST:PORT", ExitCode.USAGE)

    def on_progress(progress: Progress) -> None:
        if progress.done:
            typer.echo(f"published {progress.published} readings")

    try:
        client = connect(host, int(port), f"simulated-county-{seed}")
        try:
            publish_county(county, client, on_progress, day_s=day_s)
        finally:
            client.disconnect()
            client.loop_stop()
    except PublishError as error:
        stop(str(error), ExitCode.UNAVAILABLE)
