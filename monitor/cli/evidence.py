"""`gridwarden leads evidence`: everything a lead rests on, in a folder or file that can be verified elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monitor.cli.opening import access_to, stop
from monitor.supervise import ExitCode


def evidence(
    lead_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the lead, as `leads list` prints it.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to make; with --zip, the file to write.")],
    state_dir: Annotated[Path, typer.Option("--state", metavar="DIR", help="State directory of the daemon.")] = Path(
        "state"
    ),
    as_zip: Annotated[bool, typer.Option("--zip", help="Write one ZIP file.")] = False,  # noqa: FBT002 - a switch
    without_journal: Annotated[  # noqa: FBT002 - a command-line switch
        bool, typer.Option("--without-journal", help="Leave out the raw messages, which name other customers too.")
    ] = False,
) -> None:
    """Make an evidence pack: readings, register, reasons, curve, page and proof; `gridwarden verify` checks it."""
    from monitor.evidence_pack.build import NoPack
    from monitor.evidence_pack.files import manifest_of, write_folder, write_zip
    from monitor.evidence_pack.make import make_pack
    from monitor.evidence_pack.verify import verify_pack

    if out.exists() and (as_zip or not out.is_dir() or any(out.iterdir())):
        stop(f"{out} 已存在。{out} is there already: name another one.", ExitCode.CANNOT_CREATE)
    if not out.parent.is_dir():
        stop(f"没有目录 {out.parent}。No directory {out.parent}: make it first.", ExitCode.CANNOT_CREATE)
    try:
        files = make_pack(state_dir, access_to(state_dir), lead_id, with_journal=not without_journal)
    except LookupError:
        stop(f"没有线索 {lead_id}。No lead {lead_id}: see `gridwarden leads list`.", ExitCode.NO_INPUT)
    except NoPack as error:
        stop(f"不能生成资料包。No pack can be made: {error}", ExitCode.DATA)
    (write_zip if as_zip else write_folder)(files, out)
    manifest = manifest_of(files)
    typer.echo(f"证据资料包 evidence pack: {out}（第 {manifest.revision} 版 revision {manifest.revision}）")
    typer.echo(f"总摘要 content SHA-256: {manifest.content_sha256}")
    if not as_zip:
        typer.echo(f"打开 open: {out / 'index.html'}")
    verdict = verify_pack(files)
    if verdict.same:
        typer.echo("由资料包重新计算，结果一致。Computed again from the pack: the same.")
    else:
        typer.echo(
            "注意：由资料包重新计算，结果不一致（可能有后到数据尚未复核）。Note: computed again, it differs; "
            f"late readings may wait to be judged. See: gridwarden verify {out}",
            err=True,
        )
