"""`gridwarden verify`: is an evidence pack, or a whole state directory, what was written?"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli.opening import access_to, stop
from monitor.supervise import ExitCode

if TYPE_CHECKING:
    from monitor.audit.checkpoint import Short
    from monitor.audit.keys import PublicKey
    from monitor.evidence_pack.verify import PackVerdict

DIFFERS = 1
"""Exit code of a verification that found something."""


def verify(
    *,
    pack: Annotated[Path | None, typer.Argument(metavar="PACK", help="Evidence pack: folder or ZIP file.")] = None,
    state_dir: Annotated[
        Path | None, typer.Option("--state", metavar="DIR", help="Verify a state directory instead.")
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option("--checkpoint", metavar="TEXT|FILE", help="A checkpoint kept elsewhere, as from a notice."),
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="Public key to trust, kept elsewhere.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Verify a pack or a state directory. Exit code 0: the same; 1: altered or different; 65: not readable."""
    if (pack is None) == (state_dir is None):
        stop("指定资料包，或用 --state 指定状态目录。Name a pack, or a state directory with --state.", ExitCode.USAGE)
    trusted = _key(key)
    if state_dir is not None:
        _verify_state(state_dir, checkpoint, trusted, as_json=as_json)
    elif pack is not None:
        _verify_pack(pack, trusted, as_json=as_json)


def _verify_pack(path: Path, key: PublicKey | None, *, as_json: bool) -> None:
    from monitor.evidence_pack.files import PackUnreadable, read_pack
    from monitor.evidence_pack.verify import verify_pack

    try:
        verdict = verify_pack(read_pack(path), key)
    except PackUnreadable as error:
        stop(f"无法读取资料包。The pack cannot be read: {error}", ExitCode.DATA)
    except OSError as error:
        stop(f"无法打开 {path}。{path}: {error.strerror or error}", ExitCode.NO_INPUT)
    if as_json:
        plain = dataclasses.asdict(verdict)
        typer.echo(json.dumps({"same": verdict.same, **plain}, ensure_ascii=False, default=str, indent=2))
    else:
        _print_pack(verdict)
    raise typer.Exit(ExitCode.OK if verdict.same else DIFFERS)


def _print_pack(verdict: PackVerdict) -> None:
    from monitor.evidence_pack.verify import Outcome

    words = {Outcome.SAME: "一致 same", Outcome.DIFFERS: "不一致 DIFFERS", Outcome.NOT_COMPARED: "未比较 not compared"}
    typer.echo(f"线索 lead {verdict.lead}，第 {verdict.revision} 版 revision {verdict.revision}")
    typer.echo(f"总摘要 content SHA-256: {verdict.content_sha256}")
    _part("文件 files", verdict.files, "与清单一致 as the manifest lists them")
    whole = (
        f"{verdict.records} 条日志记录，摘要与签名一致 journal records, digests and signatures fit; key {verdict.key}"
    )
    _part("日志链 chain", verdict.chain, whole if verdict.records else "未包含 not in the pack")
    _print_unproven(verdict)
    for night in verdict.nights:
        then = "-" if night.score_then is None else f"{night.score_then:.4f}"
        now = "-" if night.score_now is None else f"{night.score_now:.4f}"
        typer.echo(
            f"  {night.night} {night.meter}: {words[night.outcome]}，score {then} -> {now} {night.note}".rstrip()
        )
        for fault in night.faults:
            typer.echo(f"    - {fault}")
    _part("线索内容 lead", verdict.lead_faults, "由各夜重新得出，一致 derived again from the nights, the same")
    for note in verdict.notes:
        typer.echo(f"说明 note: {note}")
    nights = sum(night.outcome is Outcome.SAME for night in verdict.nights)
    total = f"{nights}/{len(verdict.nights)} 夜一致 nights the same"
    typer.echo(f"结论 result: {'一致 SAME' if verdict.same else '不一致 NOT THE SAME'}，{total}")


def _print_unproven(verdict: PackVerdict) -> None:
    """How many readings stand without a journal record, and why."""
    unproven = verdict.unproven
    if unproven.count:
        typer.echo(
            f"未证明 not proven: {unproven.readings} 条量测中有 {unproven.count} 条没有日志记录证明："
            f"{unproven.outside} 条在线索各夜之外，{unproven.within} 条在线索各夜之内但包中没有其日志记录。"
            f"{unproven.count} of {unproven.readings} readings not proven by journal records: {unproven.outside} lie "
            f"outside the lead's nights, {unproven.within} within them have no record in the pack."
        )
    if not verdict.records and not unproven.within:
        typer.echo(
            "未证明 not proven: 线索各夜没有量测，包中没有日志记录可以证明。"
            "No reading fell into the lead's nights: there is no journal record in the pack that proves anything."
        )


def _part(name: str, faults: list[str], whole: str) -> None:
    if not faults:
        typer.echo(f"{name}: {whole}")
        return
    typer.echo(f"{name}: {len(faults)} 处问题 fault(s)")
    for fault in faults:
        typer.echo(f"  - {fault}")


def _key(path: Path | None) -> PublicKey | None:
    from monitor.audit.keys import PublicKey

    if path is None:
        return None
    try:
        return PublicKey.from_text(path.read_text("ascii"))
    except OSError as error:
        stop(f"无法打开 {path}。{path}: {error.strerror or error}", ExitCode.NO_INPUT)
    except ValueError as error:
        stop(f"{path} 不是公钥。{path} is no public key: {error}", ExitCode.DATA)


def _verify_state(state_dir: Path, checkpoint: str | None, key: PublicKey | None, *, as_json: bool) -> None:
    from monitor.audit.state_check import check_state
    from monitor.cli.access import SocketAccess

    access = access_to(state_dir)
    ask = access.command if isinstance(access, SocketAccess) else None
    report = check_state(state_dir, ask=ask, key=key, kept=_kept(checkpoint))
    if as_json:
        plain = {
            "whole": report.whole,
            "faults": [dataclasses.asdict(fault) for fault in report.faults],
            "notes": report.notes,
            "counts": report.counts,
        }
        typer.echo(json.dumps(plain, ensure_ascii=False, indent=2))
    else:
        for what, number in report.counts.items():
            typer.echo(f"已核对 checked: {number} {what}")
        for note in report.notes:
            typer.echo(f"说明 note: {note}")
        for fault in report.faults:
            typer.echo(f"问题 FAULT: {fault}")
        result = (
            "完整 WHOLE"
            if report.whole
            else f"{len(report.faults)} 处问题 FAULTS；请保留原状并找出原因 keep it as it is"
        )
        typer.echo(f"结论 result: {result}")
    raise typer.Exit(ExitCode.OK if report.whole else DIFFERS)


def _kept(checkpoint: str | None) -> list[Short]:
    """Checkpoints given as text or as a file of texts or notices."""
    from monitor.audit.state_check import shorts_of

    if checkpoint is None:
        return []
    try:
        path = Path(checkpoint)
        return shorts_of(path.read_text("utf-8") if len(checkpoint) < 256 and path.is_file() else checkpoint)
    except (OSError, ValueError) as error:
        stop(
            f"--checkpoint 不是检查点。--checkpoint is neither a checkpoint nor a file of them: {error}", ExitCode.DATA
        )
