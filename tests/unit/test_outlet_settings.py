"""Settings of what goes out: mistakes are told with their remedy, and secrets stay in their files."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.config.settings import ConfigFaults, load_settings
from monitor.outlets import build_sinks, sink_names

CANARY = "canary-aa31"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(CANARY + "\n")
    path.chmod(0o600)
    return path


def written(folder: Path, text: str) -> Path:
    path = folder / "gridwarden.toml"
    path.write_text(text)
    return path


MAIL = "[sinks.mail]\nhost = 'mail.example'\nsender = 'w@office.example'\nto = ['a@office.example']\n"
INFLUX = "[sinks.influx]\nurl = 'https://influx.example'\ntoken_file = '{secret}'\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (MAIL + "tls = 'off'\n", 'Set tls = "starttls"'),
        (MAIL + "username = 'x'\n", "belong together"),
        (MAIL.replace("a@office.example", "Wang <a@office.example>"), "is not an address"),
        (MAIL.replace("w@office.example", "w@office.example\\nBcc: x@y"), "is not an address"),
        (MAIL.replace("'a@office.example'", ""), "sinks.mail.to"),
        (MAIL.replace("mail.example", "https://mail.example"), "is not a host"),
        (INFLUX.replace("https", "http"), "Use https"),
        (INFLUX + "batch_lines = 100\n", "batch_lines"),
        (INFLUX + "channels = ['p_kW']\n", "p_kw"),
        (INFLUX.replace("influx.example", "influx.example?org=x"), "has a query"),
        (INFLUX.replace("{secret}", "/nowhere/token"), "cannot be read"),
        ("[sinks.apprise]\nurl_file = '/nowhere/url'\n", "cannot be read"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, secret: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigFaults) as faults:
        load_settings(written(tmp_path, text.replace("{secret}", str(secret))))
    assert told in str(faults.value)


def test_sinks_are_built_as_asked_and_keep_their_secrets(tmp_path: Path, secret: Path) -> None:
    chat = tmp_path / "chat"
    chat.write_text(f"wecombot://{CANARY}-bbbb-cccc\n")
    chat.chmod(0o600)
    text = MAIL + f"username = 'w'\npassword_file = '{secret}'\n[sinks.apprise]\nurl_file = '{chat}'\n"
    settings = load_settings(written(tmp_path, text + INFLUX.replace("{secret}", str(secret))))
    assert sink_names(settings) == ["mqtt", "apprise", "mail"]
    sinks = build_sinks(settings, lambda _topic, _body: True)
    assert {name: sink.name for name, sink in sinks.items() if name != "mqtt"} == {"apprise": "apprise", "mail": "mail"}
    assert CANARY not in repr(settings)
    assert CANARY not in repr(vars(sinks["mail"]))


def test_a_bad_apprise_url_is_one_clear_line(tmp_path: Path, secret: Path) -> None:
    with pytest.raises(ConfigFaults, match="must begin with one of: wecombot://") as refused:
        load_settings(written(tmp_path, f"[sinks.apprise]\nurl_file = '{secret}'\n"))
    assert "sinks.apprise.url_file" in str(refused.value)
    assert CANARY not in str(refused.value)
