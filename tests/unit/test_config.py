"""Settings: strict, whole, frozen; every fault at once with file, key and remedy."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from pydantic import ValidationError

from connectors.adapters.table import ADAPTERS
from detectors.table import DETECTORS
from models.domain.leads import PERIOD_KINDS, LeadKind
from monitor.config.detectors import build_detectors
from monitor.config.parts import lead_policy, mqtt_connection, subscribed_adapters
from monitor.config.sections import AdapterName, HoldSettings
from monitor.config.settings import ConfigFault, ConfigFaults, Settings, exposures, load_settings, settings_reference
from monitor.leads import LeadPolicy

MONITOR = Path(__file__).resolve().parents[2] / "monitor"


def write(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def faults(path: Path) -> dict[str, ConfigFault]:
    with pytest.raises(ConfigFaults) as caught:
        load_settings(path)
    return {fault.key: fault for fault in caught.value.faults}


def test_an_empty_file_is_a_valid_configuration(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, ""))
    assert settings == load_settings(None)
    assert [s.topic for s in settings.subscriptions] == [
        "grid/v1/+/readings",
        "grid/v1/+/furnace",
        "grid/v1/+/output",
        "grid/v1/+/status",
    ]


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        load_settings(None).mqtt.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        pytest.param("[mqtt]\nprot = 1", "mqtt.prot", "Meant port?", id="misspelt_key_names_the_nearest"),
        pytest.param("[time]\nxyzzy = 1", "time.xyzzy", "It takes: future_s", id="far_key_lists_all"),
        pytest.param("[mqqt]\nport = 1", "mqqt", "Meant mqtt?", id="misspelt_section"),
        pytest.param("[mqtt]\nport = 70000", "mqtt.port", "got 70000", id="out_of_range"),
        pytest.param("[mqtt]\nport = true", "mqtt.port", "a number is wanted", id="a_boolean_is_no_number"),
        pytest.param("[mqtt]\nport = [", "", "is not TOML", id="syntax"),
        pytest.param("[daemon]\nzone = 'Mars/Base'", "daemon.zone", "Use an IANA name", id="unknown_zone"),
        pytest.param("[daemon]\nregister = 'gone.xlsx'", "daemon.register", "cannot be read", id="absent_register"),
        pytest.param("[mqtt]\nhost = 'b.example'", "mqtt", 'tls = "on"', id="A1_plaintext_must_be_asked_for"),
        pytest.param(
            "[mqtt]\ncert_file = 'c.pem'\ntls = 'on'", "mqtt", "belong together", id="certificate_without_key"
        ),
        pytest.param(
            "[[subscriptions]]\ntopic = 'a/+x'\nadapter = 'canonical'",
            "subscriptions.0",
            "not a topic filter",
            id="filter",
        ),
        pytest.param(
            "[[subscriptions]]\ntopic = 'a/b'\nadapter = 'canonical'",
            "subscriptions.0",
            "no level 2",
            id="no_such_level",
        ),
        pytest.param(
            "[[subscriptions]]\ntopic = 'a/b/c'\nadapter = 'generic'",
            "subscriptions.0",
            "needs a profile",
            id="profile",
        ),
        pytest.param(
            "[sinks.webhook]\nurl = 'http://x.example/'\nsecret_file = 's'",
            "sinks.webhook",
            "this machine only",
            id="W7_https",
        ),
        pytest.param("[leads]\nhold_window_nights = 1", "leads", "hold_nights.furnace_melt exceeds", id="hold"),
        pytest.param("[detectors.sealed_sit]", "detectors.sealed_sit", "Meant sealed_site?", id="misspelt_detector"),
        pytest.param(
            "[detectors.sealed_site]\nflor_kw = 1", "detectors.sealed_site.flor_kw", "Meant floor_kw?", id="its_setting"
        ),
        pytest.param(
            "[detectors.sealed_site]\nfloor_kw = 'x'", "detectors.sealed_site.floor_kw", "valid number", id="its_type"
        ),
    ],
)
def test_each_mistake_is_named_with_key_and_remedy(tmp_path: Path, text: str, key: str, said: str) -> None:
    path = write(tmp_path, text)
    found = faults(path)
    assert said in str(found[key])
    assert found[key].file == str(path)


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "[mqtt]\nprot = 1\npassword_file = 'gone'\n[ops]\nport = -1\n[detectors.nope]\n")
    assert set(faults(path)) == {"mqtt.prot", "mqtt.password_file", "ops.port", "detectors.nope"}


def test_a_missing_file_is_a_fault_not_a_traceback(tmp_path: Path) -> None:
    assert "cannot be read" in faults(tmp_path / "absent.toml")[""].problem


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDWARDEN__MQTT__PORT", "8883")
    monkeypatch.setenv("GRIDWARDEN__DETECTORS__SEALED_SITE__FLOOR_KW", "7.5")
    monkeypatch.setenv("GRIDWARDEN__SUBSCRIPTIONS", '[{"topic": "x/y/+/z", "adapter": "arrow"}]')
    settings = load_settings(write(tmp_path, "[mqtt]\nport = 1884\nkeepalive_s = 30\n"))
    assert (settings.mqtt.port, settings.mqtt.keepalive_s) == (8883, 30)
    assert [s.adapter for s in settings.subscriptions] == ["arrow"]
    (sealed,) = [d for d in build_detectors(settings.detectors) if d.name == "sealed_site"]
    assert getattr(sealed, "floor_kw") == 7.5  # noqa: B009 — a field of one detector, not of the contract


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        pytest.param("GRIDWARDEN__MQTT__PORT", "many", "valid integer", id="value"),
        pytest.param("GRIDWARDEN__MQTT__PROT", "1", "Meant port?", id="key"),
        pytest.param("GRIDWARDEN__MQQT__PORT", "1", "Meant mqtt?", id="section"),
        pytest.param("GRIDWARDEN__MQTT__PASSWORD_FILE", "gone", "cannot be read", id="file"),
    ],
)
def test_a_fault_in_the_environment_names_the_variable(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigFaults) as caught:
        load_settings(None)
    (fault,) = caught.value.faults
    assert (fault.file, fault.key) == ("environment", variable)
    assert said in str(fault)


def test_broken_json_in_the_environment_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDWARDEN__SUBSCRIPTIONS", "[{")
    with pytest.raises(ConfigFaults, match="written as JSON"):
        load_settings(None)


def test_a_secret_open_to_others_is_refused_and_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("canary-3f9c")
    secret.chmod(0o644)
    text = f"[mqtt]\npassword_file = '{secret}'\n"
    fault = faults(write(tmp_path, text))["mqtt.password_file"]
    assert "open to others" in fault.problem
    assert "canary" not in str(fault)
    secret.chmod(0o600)
    assert "canary" not in repr(load_settings(write(tmp_path, text)))


def test_plaintext_may_be_asked_for_and_loopback_needs_no_asking(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, "[mqtt]\nhost = 'b.example'\ntls = 'off'\n")).mqtt.tls == "off"
    for host in ("127.0.0.1", "localhost", "::1"):
        assert load_settings(write(tmp_path, f"[mqtt]\nhost = '{host}'\n")).mqtt.host == host


def test_what_is_left_unprotected_is_named(tmp_path: Path) -> None:
    assert exposures(load_settings(None)) == ()
    text = "[mqtt]\nhost = 'b.example'\ntls = 'off'\n[ops]\nhost = '0.0.0.0'\n"
    plaintext, open_port = exposures(load_settings(write(tmp_path, text)))
    assert "b.example" in plaintext
    assert "0.0.0.0" in open_port


def test_names_of_adapters_and_lead_kinds_are_those_of_the_code() -> None:
    assert set(AdapterName.__args__) == set(ADAPTERS)
    assert set(HoldSettings.model_fields) == {kind.value for kind in LeadKind} - {kind.value for kind in PERIOD_KINDS}


def test_every_detector_is_built_from_its_defaults_and_can_be_switched_off() -> None:
    assert [d.name for d in build_detectors({})] == list(DETECTORS)
    assert "quality" not in [d.name for d in build_detectors({"quality": {"enabled": False}})]


def test_generic_subscriptions_keep_their_own_profiles(tmp_path: Path) -> None:
    text = """
[[subscriptions]]
topic = "em/+/+/data"
adapter = "generic"
publisher = "bureau"
profile = {time_unit = "s", numbers_as_strings = true}
[[subscriptions]]
topic = "gw/+/data"
adapter = "generic"
publisher = "other"
profile = {time_unit = "ms"}
"""
    subscriptions = load_settings(write(tmp_path, text)).subscriptions
    keys = [s.adapter_key for s in subscriptions]
    adapters = subscribed_adapters(subscriptions)
    assert len({id(adapters[key]) for key in keys}) == 2
    assert set(ADAPTERS) < set(adapters)


def test_every_setting_has_a_meaning() -> None:
    assert [row.key for row in settings_reference() if not row.meaning] == []
    assert {row.key.split(".")[0].removesuffix("[]") for row in settings_reference()} == set(Settings.model_fields)


def test_the_connection_carries_what_the_settings_say(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("canary-3f9c\n")
    secret.chmod(0o600)
    text = f"[mqtt]\nversion = '3.1.1'\nusername = 'gridwarden'\npassword_file = '{secret}'\nkeepalive_s = 30\n"
    connection = mqtt_connection(load_settings(write(tmp_path, text)))
    assert (connection.version, connection.keepalive_s, connection.tls) == (4, 30, "off")
    assert connection.password == "canary-3f9c"
    assert "canary" not in repr(connection)
    assert [s.topic for s in connection.subscriptions] == [s.topic for s in load_settings(None).subscriptions]


def test_tls_trusts_the_named_file_or_the_system(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("pem")
    for extra, tls in (("", "system"), (f"ca_file = '{tmp_path}/ca.pem'\n", "ca_file")):
        settings = load_settings(write(tmp_path, f"[mqtt]\nhost = 'b.example'\ntls = 'on'\n{extra}"))
        assert mqtt_connection(settings).tls == tls


def test_the_default_hold_is_that_of_the_leads() -> None:
    assert lead_policy(load_settings(None).leads) == LeadPolicy()


def test_every_setting_is_read_somewhere() -> None:
    modules = [path for path in MONITOR.rglob("*.py") if path.name not in ("config.py", "config_sections.py")]
    nodes = [node for path in modules for node in ast.walk(ast.parse(path.read_bytes()))]
    read = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    by_kind = {f"leads.hold_nights.{kind.value}" for kind in LeadKind}
    keys = [row.key for row in settings_reference() if row.key not in by_kind]
    assert [key for key in keys if key.rpartition(".")[2] not in read] == []
