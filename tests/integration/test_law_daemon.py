"""The rule packs of a running daemon: named in its status, and tried against others beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.law.library import load_law
from monitor.cli.access import open_access
from monitor.desk.database import desk_transaction
from monitor.desk.registers import put_register
from monitor.supervise import ExitCode
from tests.support import carbide, plant
from tests.support.broker import Broker
from tests.support.daemon_process import DaemonProcess, command, write_config
from tests.unit.test_law_pack_faults import GOOD

pytestmark = pytest.mark.mosquitto


def test_a_dry_run_beside_the_daemon_says_what_it_says_when_it_is_stopped(tmp_path: Path) -> None:
    in_force, tried = tmp_path / "in-force", tmp_path / "tried"
    for folder, text in ((in_force, GOOD), (tried, carbide.page_block("pack"))):
        folder.mkdir()
        (folder / "local.toml").write_text(text, "utf-8")
    with carbide.works(tmp_path / "state") as works:
        works.core.intensity.finish(plant.midnight_ms(plant.MARCH.end))
        with desk_transaction(works.core.engine) as connection:
            put_register(connection, works.table.rows, plant.NOW_MS)
    with Broker(tmp_path / "broker") as broker:
        daemon = DaemonProcess(tmp_path, tmp_path, broker.port)
        settings = {
            "daemon.state_dir": daemon.state_dir,
            "mqtt.port": broker.port,
            "ops.port": 0,
            "law.packs_dir": in_force,
        }
        write_config(daemon.config, settings)
        ask = ("law", "dry-run", "--packs", tried, "--config", daemon.config)
        with daemon:
            daemon.ready()
            law = open_access(daemon.state_dir).status()["law"]
            assert law["version"] == load_law(in_force).version
            assert (law["packs_dir"], law["changed_on_disk"]) == (str(in_force), [])
            beside = command(*ask, "--json")
            assert beside.returncode == 0, beside.stderr
            shown = command(*ask)
            assert "85560.00 元 CNY" in shown.stdout
            assert "nothing was changed" in shown.stdout
            (tried / "local.toml").write_text(GOOD.replace("kgce/t", "kgce/ton"), "utf-8")
            broken = command(*ask)
            assert (broken.returncode, "local.toml:" in broken.stderr) == (ExitCode.DATA, True)
            (tried / "local.toml").write_text(carbide.page_block("pack"), "utf-8")
            assert daemon.stop()[0] == 0
        stopped = command(*ask, "--json")
        assert stopped.returncode == 0, stopped.stderr
        answer = json.loads(beside.stdout)
        assert json.loads(stopped.stdout) == answer
        assert answer["from"] == load_law(in_force).version
        assert answer["counts"]["power"] == {"appears": 0, "vanishes": 0, "changes": 1}
