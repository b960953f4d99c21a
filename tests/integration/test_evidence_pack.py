"""An evidence pack holds all a lead rests on, is the same whenever it is made, and is found out when it is altered."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import io
import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from models.domain.register import CalendarKind, CalendarRow, Furnace, FurnaceKind, Register, TariffBand
from monitor.cli.main import app
from monitor.command_table import COMMANDS
from monitor.evidence_pack.build import READINGS_FILE, build_pack, parquet_bytes
from monitor.evidence_pack.files import (
    MANIFEST,
    PackUnreadable,
    manifest_of,
    read_pack,
    with_manifest,
    write_folder,
    write_zip,
)
from monitor.evidence_pack.proof import Proof, ProvenRecord, Unproven, unproven
from monitor.evidence_pack.sources import AskedDaemon, stored_files
from monitor.evidence_pack.verify import Outcome, verify_pack
from monitor.leads import canonical_json
from tests.support.district import (
    ZONE,
    District,
    bureau,
    by_hour,
    register,
    steady,
)

NIGHTS = 5
Files = dict[str, bytes]


def district_register() -> Register:
    """The district's register with valley hours, a furnace and rows of another time."""
    plain = register()
    rows = plain.rows
    calendar = (
        CalendarRow(kind=CalendarKind.TARIFF, band=TariffBand.VALLEY, start=dt.time(22), end=dt.time(8), name="谷段"),
    )
    furnaces = (
        Furnace(furnace="F1", site="melt", kind=FurnaceKind.RESISTANCE, rated_kw=120.0, purpose="热处理"),
        Furnace(furnace="F0", site="melt", kind=FurnaceKind.OTHER, valid_to=dt.date(2020, 1, 1)),
        Furnace(furnace="F9", site="calm", kind=FurnaceKind.OTHER),
    )
    return Register(dataclasses.replace(rows, calendar=calendar, furnaces=furnaces), ZONE, "r2")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped state with a lead of each kind; a gap in the sealed site's last night."""
    state_dir = tmp_path_factory.mktemp("evidence") / "state"
    readings = [r for r in bureau(NIGHTS) if not (r.meter == "shut" and r.ts_ms % 86_400_000 < 3_600_000)]
    with District(state_dir, district_register()) as district:
        for group in by_hour(readings, 6):
            district.feed([group], live=True)
            district.core.checkpoints.due()
        district.finish()
    return state_dir


def lead_ids(state_dir: Path) -> dict[str, str]:
    listed = CliRunner().invoke(app, ["leads", "list", "--state", str(state_dir), "--json"])
    return {lead["kind"]: lead["id"] for lead in json.loads(listed.stdout)}


def packed(state_dir: Path, lead_id: str) -> Files:
    with stored_files(state_dir) as stored:
        return build_pack(state_dir, lead_id, ZONE, stored, with_journal=True)


@pytest.fixture(scope="module")
def pack(state: Path) -> Files:
    return packed(state, lead_ids(state)["furnace_melt"])


def sealed_again(files: Files) -> Files:
    """The files under a manifest made for them, as a forger would."""
    manifest = manifest_of(files)
    lead = json.loads(files["lead.json"])["lead"]
    rest = {name: content for name, content in files.items() if name != MANIFEST}
    return with_manifest(rest, lead=lead, revision=manifest.revision, made_by=manifest.made_by)


@pytest.mark.parametrize("kind", ["furnace_melt", "sealed_site", "meter_silent"])
def test_a_lead_of_each_kind_is_computed_again_from_its_pack_alone(state: Path, kind: str, tmp_path: Path) -> None:
    files = packed(state, lead_ids(state)[kind])
    verdict = verify_pack(files)
    assert verdict.same, verdict
    assert {night.outcome for night in verdict.nights} == {Outcome.SAME}
    assert len(verdict.nights) >= 3
    assert verdict.notes == []
    write_folder(files, tmp_path / "pack")
    write_zip(files, tmp_path / "pack.zip")
    assert read_pack(tmp_path / "pack") == read_pack(tmp_path / "pack.zip") == files


def test_a_byte_of_the_zip_itself_that_no_files_digest_covers_is_found(tmp_path: Path) -> None:
    path = tmp_path / "pack.zip"
    write_zip({"manifest.json": b"{}", "lead.json": b"[]"}, path)
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(PackUnreadable):
            read_pack(path)


def test_a_pack_that_somebody_zipped_anew_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pack.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b"{}" * 500)
    assert read_pack(path) == {"manifest.json": b"{}" * 500}


def test_the_same_state_gives_the_same_bytes_beside_the_daemon_and_without_it(
    state: Path, pack: Files, tmp_path: Path
) -> None:
    again = tmp_path / "state"
    shutil.copytree(state, again)
    lead_id = manifest_of(pack).lead
    assert packed(again, lead_id) == pack
    with District(again, district_register()) as district:

        def ask(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
            answer = COMMANDS[name](district.core, json.loads(json.dumps(arguments)))
            plain: dict[str, Any] = json.loads(json.dumps(answer))
            return plain

        live = build_pack(again, lead_id, ZONE, AskedDaemon(ask), with_journal=True)
    assert {name for name in pack if live[name] != pack[name]} == set()
    write_zip(pack, tmp_path / "a.zip")
    write_zip(live, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_any_altered_byte_is_found_in_the_file_it_is_in(pack: Files) -> None:
    for name, content in pack.items():
        for at in {0, len(content) // 2, len(content) - 1}:
            altered = bytes([*content[:at], content[at] ^ 1, *content[at + 1 :]])
            try:
                verdict = verify_pack({**pack, name: altered})
            except PackUnreadable:
                assert name == MANIFEST
                continue
            assert not verdict.same
            assert any(fault.startswith(name) for fault in verdict.files), (name, at, verdict.files)


def test_a_missing_and_an_added_file_are_named(pack: Files) -> None:
    for name in pack.keys() - {MANIFEST}:
        verdict = verify_pack({other: content for other, content in pack.items() if other != name})
        assert f"{name}: missing" in verdict.files
    assert verify_pack({**pack, "note.txt": b"x"}).files == ["note.txt: added, the manifest does not list it"]


def readings_with(pack: Files, scale: float) -> bytes:
    table = pq.read_table(io.BytesIO(pack[READINGS_FILE]))
    at = table.schema.get_field_index("p_kw")
    values = [None if value is None else value * scale for value in table.column(at).to_pylist()]
    return parquet_bytes(table.set_column(at, "p_kw", pa.array(values, table.schema.field(at).type)))


def test_readings_forged_with_a_new_manifest_are_neither_in_the_messages_nor_give_the_finding(pack: Files) -> None:
    forged = sealed_again({**pack, READINGS_FILE: readings_with(pack, 1.5)})
    verdict = verify_pack(forged)
    assert verdict.files == []
    assert any("not in journal record" in fault for fault in verdict.chain)
    assert all(any("digest" in fault for fault in night.faults) for night in verdict.nights)


def test_a_forged_finding_a_forged_register_and_forged_settings_come_out_otherwise(pack: Files) -> None:
    findings = json.loads(pack["findings.json"])
    findings["nights"][0]["finding"]["finding"]["score"] = 0.91
    settings = json.loads(pack["settings.json"])
    settings["detectors"]["furnace_melt"]["threshold"] = 0.999
    rows = json.loads(pack["register.json"])
    rows["rows"]["enterprises"][0]["name"] = "另一家公司"
    for name, value in (("findings.json", findings), ("settings.json", settings), ("register.json", rows)):
        verdict = verify_pack(sealed_again({**pack, name: canonical_json(value)}))
        assert verdict.files == []
        assert not verdict.same, name


def test_a_forged_record_does_not_fit_its_digest_or_its_checkpoint(pack: Files) -> None:
    bodies = bytearray(pack["journal/records.bin"])
    bodies[10] ^= 1
    verdict = verify_pack(sealed_again({**pack, "journal/records.bin": bytes(bodies)}))
    assert any("do not fit its digest" in fault for fault in verdict.chain)
    proof = json.loads(pack["journal/proof.json"])
    proof["covers"][0]["line"] = proof["covers"][0]["line"].replace('"n":', '"n":1')
    verdict = verify_pack(sealed_again({**pack, "journal/proof.json": canonical_json(proof)}))
    assert any(fault.startswith("checkpoint") for fault in verdict.chain)


def test_a_pack_of_other_versions_says_so_and_compares_what_it_can(pack: Files) -> None:
    lead = json.loads(pack["lead.json"])
    lead["lead"]["versions"] |= {"software": "0.0.9", "features": "0"}
    lead["sha256"] = hashlib.sha256(canonical_json(lead["lead"])).hexdigest()
    verdict = verify_pack(sealed_again({**pack, "lead.json": canonical_json(lead)}))
    assert any("0.0.9" in note for note in verdict.notes)
    assert any("version 0" in note for note in verdict.notes)
    assert {night.outcome for night in verdict.nights} == {Outcome.SAME}


def test_the_extract_names_the_site_alone_as_it_was_then(pack: Files) -> None:
    rows = json.loads(pack["register.json"])["rows"]
    assert [row["meter"] for row in rows["meters"]] == ["melt"]
    assert [row["furnace"] for row in rows["furnaces"]] == ["F1"]
    assert len(rows["enterprises"]) == len(rows["calendar"]) == 1


def test_gaps_are_named_with_their_hours(state: Path) -> None:
    files = packed(state, lead_ids(state)["sealed_site"])
    gaps = json.loads(files["gaps.json"])
    assert {gap["what"] for gap in gaps} == {"no_reading"}
    assert gaps[0]["from"].endswith("+08:00")


def test_the_page_stands_alone_and_gives_no_verdict(pack: Files) -> None:
    page = pack["index.html"].decode()
    assert "<script" not in page
    assert re.findall(r"(?:src|href)\s*=\s*[\"'](?!#)", page) == []
    assert "url(" not in re.sub(r"url\(#\w+\)", "", page)
    for words in ("疑似", "不是结论", "现场核查", "方法与局限", "热处理", "某某金属制品有限公司"):
        assert words in page
    for words in ("违法行为", "illegal"):
        assert words not in page


def test_names_from_the_register_are_text_on_the_page(tmp_path: Path) -> None:
    known = district_register()
    name = '<img src=x onerror="alert(1)">厂'
    sites = tuple(s if s.site != "shut" else type(s)(site="shut", uscc=s.uscc, name=name) for s in known.rows.sites)
    rows = dataclasses.replace(known.rows, sites=sites)
    with District(tmp_path / "state", Register(rows, ZONE, "r3")) as district:
        district.feed(by_hour(steady("shut", range(2), 210.0, channel="p_mean_kw"), 12)).finish()
    page = packed(tmp_path / "state", lead_ids(tmp_path / "state")["sealed_site"])["index.html"].decode()
    assert "<img" not in page
    assert "&lt;img" in page


def test_the_commands_say_what_they_did_by_words_and_exit_code(state: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    lead_id = lead_ids(state)["furnace_melt"]
    out = tmp_path / "pack"
    made = runner.invoke(app, ["leads", "evidence", lead_id, "--state", str(state), "--out", str(out)])
    assert made.exit_code == 0, made.output
    assert "一致" in made.stdout
    assert runner.invoke(app, ["leads", "evidence", lead_id, "--state", str(state), "--out", str(out)]).exit_code == 73
    unknown = ["leads", "evidence", "L0", "--state", str(state), "--out", str(tmp_path / "x")]
    assert runner.invoke(app, unknown).exit_code == 66
    same = runner.invoke(app, ["verify", str(out)])
    assert same.exit_code == 0, same.output
    assert "SAME" in same.stdout
    told = json.loads(runner.invoke(app, ["verify", str(out), "--json"]).stdout)
    assert told["same"] is True
    path = out / "readings.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    altered = runner.invoke(app, ["verify", str(out)])
    assert altered.exit_code == 1
    assert "readings.parquet: altered" in altered.stdout
    assert runner.invoke(app, ["verify", str(tmp_path / "none")]).exit_code == 66
    (tmp_path / "empty").mkdir()
    assert runner.invoke(app, ["verify", str(tmp_path / "empty")]).exit_code == 65
    assert runner.invoke(app, ["verify"]).exit_code == 64


def verified(files: Files, folder: Path) -> tuple[str, dict[str, Any]]:
    """What `verify` prints of a pack, as text and as JSON."""
    write_folder(files, folder)
    runner = CliRunner()
    told: dict[str, Any] = json.loads(runner.invoke(app, ["verify", str(folder), "--json"]).stdout)
    return runner.invoke(app, ["verify", str(folder)]).stdout, told


def test_readings_without_a_journal_record_are_counted_on_the_page_and_by_verify(state: Path, tmp_path: Path) -> None:
    with stored_files(state) as stored:
        files = build_pack(state, lead_ids(state)["furnace_melt"], ZONE, stored, with_journal=False)
    n = pq.read_table(io.BytesIO(files[READINGS_FILE])).num_rows
    said, told = verified(files, tmp_path / "pack")
    assert told["unproven"]["within"] > 0
    assert told["unproven"]["within"] + told["unproven"]["outside"] == told["unproven"]["readings"] == n
    assert f"{n} 条量测中有 {n} 条没有日志记录证明" in said
    assert f"{n} of {n} readings not proven by journal records" in said
    assert f"{n} of {n} readings are not proven by journal records" in files["index.html"].decode()


def test_a_pack_about_silence_says_that_no_record_proves_anything(state: Path, tmp_path: Path) -> None:
    files = packed(state, lead_ids(state)["meter_silent"])
    said, told = verified(files, tmp_path / "pack")
    assert (told["same"], told["records"], told["unproven"]["within"]) == (True, 0, 0)
    assert "No reading fell into the lead's nights" in said
    assert "No reading fell into the lead's nights" in files["index.html"].decode()


def test_a_pack_with_all_its_records_says_nothing_of_the_kind(state: Path, tmp_path: Path) -> None:
    files = packed(state, lead_ids(state)["sealed_site"])
    said, told = verified(files, tmp_path / "pack")
    assert told["unproven"]["within"] == told["unproven"]["outside"] == 0
    assert "not proven" not in said + files["index.html"].decode()


def test_unproven_readings_are_told_apart_by_whether_they_lie_in_the_leads_nights() -> None:
    readings = pa.table({"seq": pa.array([1, 1, 2, 3, 4], pa.int64())})
    record = ProvenRecord(2, 1, 0, None, 1, "", "", 0, 0, None)
    in_nights = np.array([False, True, True, True, False])
    assert unproven(Proof((record,)), readings, in_nights) == Unproven(5, outside=2, within=2)
