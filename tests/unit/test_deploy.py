"""What deploy/ says agrees with the code: settings, ports, paths, files, metric names."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from monitor.cli.main import COMMANDS
from monitor.config.settings import Settings, load_settings
from monitor.metrics import Metrics
from monitor.supervise import DRAIN_LIMIT_S, ExitCode

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
PROCESS_METRICS = {"process_start_time_seconds", "process_resident_memory_bytes", "process_cpu_seconds_total"}
METRIC = re.compile(r"\b(?:gridwarden|process)_[a-z0-9_]+\b")
DEFAULTS = Settings()


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


def dockerfile() -> list[list[str]]:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [shlex.split(line, comments=True) for line in text.splitlines() if line and not line.startswith("#")]


def unit() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "systemd" / "gridwarden.service").read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def known_samples() -> dict[str, dict[str, tuple[str, ...]]]:
    """Every sample name a scrape may show, with the values of its labels."""
    known: dict[str, dict[str, tuple[str, ...]]] = {name: {} for name in PROCESS_METRICS}
    for row in Metrics(CollectorRegistry()).reference():
        suffixes = ("_bucket", "_sum", "_count") if row.type == "histogram" else ("",)
        known.update({row.name + suffix: dict(row.labels) for suffix in suffixes})
    return known


def expressions() -> list[tuple[str, str]]:
    """(where, PromQL) of every alert, panel, variable and annotation."""
    rules = yaml.safe_load((DEPLOY / "prometheus" / "gridwarden.rules.yml").read_text(encoding="utf-8"))
    found = [(rule["alert"], rule["expr"]) for group in rules["groups"] for rule in group["rules"]]
    board = json.loads((DEPLOY / "grafana" / "dashboards" / "gridwarden.json").read_text(encoding="utf-8"))
    found += [(p["title"], target["expr"]) for p in board["panels"] for target in p.get("targets", ())]
    found += [(variable["name"], variable["query"]["query"]) for variable in board["templating"]["list"]]
    return found + [(note["name"], note["expr"]) for note in board["annotations"]["list"]]


@pytest.mark.parametrize(("where", "expression"), expressions())
def test_every_metric_and_label_value_that_is_asked_for_exists(where: str, expression: str) -> None:
    known = known_samples()
    asked = set(METRIC.findall(expression)) - {"gridwarden_state"} | (
        {"gridwarden_state"} if re.search(r"gridwarden_state\{|gridwarden_state ", expression) else set()
    )
    assert asked <= known.keys(), where
    labels = {label: set(values) for name in asked for label, values in known[name].items()}
    for label, value in re.findall(r'(\w+)="([^"$]*)"', expression):
        if label in labels:
            assert value in labels[label], where
    for grouped in re.findall(r"by \(([^)]*)\)", expression):
        assert set(grouped.replace(" ", "").split(",")) <= labels.keys() | {"instance", "le"}, where


def test_every_alert_says_what_it_means_and_how_grave_it_is() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "gridwarden.rules.yml").read_text(encoding="utf-8"))
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"].keys() == {"summary", "description"}
        for document in re.findall(r"docs/[\w/.-]+\.md", rule["annotations"]["description"]):
            assert (ROOT / document).is_file(), rule["alert"]


def test_every_alert_is_exercised_by_the_rule_tests() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "gridwarden.rules.yml").read_text(encoding="utf-8"))
    tests = (DEPLOY / "prometheus" / "gridwarden.test.yml").read_text(encoding="utf-8")
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        assert rule["alert"] in tests


def test_prometheus_scrapes_the_port_the_daemon_serves() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    targets = [
        target for job in config["scrape_configs"] for each in job["static_configs"] for target in each["targets"]
    ]
    assert targets == [f"gridwarden:{DEFAULTS.ops.port}"]
    assert all((DEPLOY / "prometheus" / name).is_file() for name in config["rule_files"])


def test_the_board_and_its_source_have_the_same_name() -> None:
    source = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/gridwarden.yml").read_text(encoding="utf-8"))
    board = json.loads((DEPLOY / "grafana" / "dashboards" / "gridwarden.json").read_text(encoding="utf-8"))
    uids = {panel["datasource"]["uid"] for panel in board["panels"] if "datasource" in panel}
    assert uids == {source["datasources"][0]["uid"]}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert all(panel["description"] for panel in board["panels"] if panel["type"] != "row")


def test_panels_of_the_board_do_not_overlap() -> None:
    board = json.loads((DEPLOY / "grafana" / "dashboards" / "gridwarden.json").read_text(encoding="utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_the_image_copies_what_exists_and_runs_a_command_without_privileges() -> None:
    steps = dockerfile()
    for step in steps:
        if step[0] == "COPY" and not step[1].startswith("--from"):
            assert all((ROOT / name).exists() for name in step[1:-1]), step
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    copied = {n.removeprefix("./") for s in steps if s[0] == "COPY" and not s[1].startswith("--from") for n in s[1:-1]}
    assert copied == {line[1:] for line in kept if line.startswith("!")}
    by_word = {step[0]: step for step in steps}
    assert by_word["USER"] == ["USER", "10001:10001"]
    assert by_word["EXPOSE"] == ["EXPOSE", str(DEFAULTS.ops.port)]
    assert by_word["ENTRYPOINT"] == ["ENTRYPOINT", "[gridwarden]"]
    assert by_word["CMD"][1].strip("[,") in COMMANDS
    assert f":{DEFAULTS.ops.port}/healthz" in " ".join(" ".join(step) for step in steps)
    stages = [step for step in steps if step[0] == "FROM"]
    assert len(stages) == 2
    assert all(":" in stage[1] and not stage[1].endswith(":latest") for stage in stages)


def test_the_compose_project_mounts_what_exists_and_pins_what_it_pulls() -> None:
    project, folder = compose(), DEPLOY / "compose"
    made = {"./secrets/broker", "./secrets/influxdb", "./secrets/gridwarden", "./register"}
    named = set(project["volumes"])
    for name, service in project["services"].items():
        image, _, tag = service["image"].rpartition(":")
        assert image, name
        assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?", tag), name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in named | made or (folder / source).resolve().exists(), (name, source)
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:") or port == "8883:8883", (name, port)
        for needed in service.get("depends_on", ()):
            assert needed in project["services"]
    script = (folder / "prepare.sh").read_text(encoding="utf-8")
    for name, secret in project["secrets"].items():
        assert secret["file"] == f"./secrets/{name}"
        assert name in script


def test_the_compose_daemon_reads_paths_that_are_mounted(tmp_path: Path) -> None:
    project = compose()
    mounts = [volume.split(":")[1] for volume in project["services"]["gridwarden"]["volumes"]]
    text = (DEPLOY / "compose" / "gridwarden.toml").read_text(encoding="utf-8")
    paths = re.findall(r'"(/[^"]+)"', text)
    assert paths
    assert all(any(path == mount or path.startswith(mount + "/") for mount in mounts) for path in paths)
    for number, path in enumerate(paths):
        stand_in = tmp_path / str(number)
        stand_in.write_text("x", encoding="utf-8")
        stand_in.chmod(0o600)
        text = text.replace(f'"{path}"', f'"{stand_in}"')
    config = tmp_path / "gridwarden.toml"
    config.write_text(text, encoding="utf-8")
    settings = load_settings(config)
    assert settings.mqtt.host in project["services"]
    influx = settings.sinks.influx
    assert influx is not None
    assert influx.url.removeprefix("https://") == influx.allow[0]
    assert influx.allow[0].split(":")[0] in project["services"]
    started = project["services"]["influxdb"]["environment"]
    assert started["DOCKER_INFLUXDB_INIT_ORG"] == influx.org
    assert started["DOCKER_INFLUXDB_INIT_BUCKET"] == influx.bucket
    assert f"127.0.0.1:{settings.ops.port}:{settings.ops.port}" in project["services"]["gridwarden"]["ports"]
    assert f"{settings.mqtt.port}:{settings.mqtt.port}" in project["services"]["mosquitto"]["ports"]


def test_the_broker_of_the_compose_project_finds_the_files_of_the_reference_configuration() -> None:
    mounts = [volume.split(":")[1] for volume in compose()["services"]["mosquitto"]["volumes"]]
    text = (DEPLOY / "mosquitto" / "mosquitto.conf").read_text(encoding="utf-8")
    wanted = re.findall(r"^(?:cafile|certfile|keyfile|acl_file|persistence_location) (\S+)$", text, re.MULTILINE)
    assert len(wanted) == 5
    assert all(any(path.rstrip("/") == m or path.startswith(m + "/") for m in mounts) for path in wanted)


def test_the_broker_of_the_compose_project_may_write_where_it_keeps_the_sessions() -> None:
    text = (DEPLOY / "mosquitto" / "mosquitto.conf").read_text(encoding="utf-8")
    place = re.findall(r"^persistence_location (\S+)/$", text, re.MULTILINE)[0]
    started = compose()["services"]["mosquitto"]["command"][-1]
    assert started.startswith(f"chown mosquitto:mosquitto {place} && exec mosquitto -c ")
    mounts = [volume.split(":")[1] for volume in compose()["services"]["mosquitto"]["volumes"]]
    assert started.split()[-1] in mounts


def test_the_unit_fits_the_daemon() -> None:
    found = unit()
    assert found["Type"] == ["notify"]
    assert found["ExecStart"][0].split()[1] in COMMANDS
    assert {int(code) for code in found["RestartPreventExitStatus"][0].split()} == {
        ExitCode.DATA,
        ExitCode.NO_INPUT,
        ExitCode.IO,
        ExitCode.CONFIG,
    }
    assert float(found["TimeoutStopSec"][0]) > DRAIN_LIMIT_S
    assert int(found["WatchdogSec"][0]) >= 30
