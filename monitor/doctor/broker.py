"""Checks of the broker: reachable, what it says of itself, what strangers may do, what its configuration says."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Final

from connectors.mqtt_probe import DROPPED_TOPIC, VERSION_TOPIC, BrokerFacts, look_at, port_open
from connectors.mqtt_settings import MqttSettings as Connection
from monitor.config.settings import Settings, is_loopback
from monitor.doctor.broker_file import NO_FILE, BrokerFile, mosquitto_on
from monitor.doctor.findings import Finding, fault, ok, unseen, warning

PLAIN_PORT: Final = 1883
WANTED_PACKET_BYTES: Final = 1_048_576
FORBIDDEN_TOPIC: Final = "grid/v1/gridwarden-doctor/probe"
"""Nobody subscribes to it, and by the reference access list the daemon's account may not write it."""

RESTART: Final = "restart the broker (a reload does not change it)"


def check_broker(settings: Settings, connection: Connection, *, daemon_runs: bool) -> Iterator[Finding]:
    """All checks of the broker. A running daemon's account is not used: its session could be taken over."""
    host, port = connection.host, connection.port
    at = f"{host}:{port}"
    if not port_open(host, port, timeout_s=3.0):
        yield fault(
            "broker.reachable",
            f"nothing answers on {at}",
            f"Start the broker (`systemctl start mosquitto`), or correct mqtt.host and mqtt.port; {at} must listen.",
        )
        return
    file = mosquitto_on(port) if is_loopback(host) else None
    stranger = look_at(dataclasses.replace(connection, username="", password="", cert_file=None, key_file=None))
    if stranger.mute and connection.tls == "off":
        yield _no_mqtt(at)
        return
    facts = stranger
    if connection.username or connection.cert_file is not None:
        if daemon_runs:
            yield unseen(
                "broker.account",
                "not tried while the daemon runs: connecting under its account could take its session",
                "The daemon's own state below says whether it is connected; to try the account, stop the daemon first.",
            )
        else:
            facts = look_at(connection, write_to=(FORBIDDEN_TOPIC,))
            yield _login(at, connection, facts)
    elif stranger.refusal:
        yield fault(
            "broker.login",
            f"{at} lets nobody in without an account: {stranger.refusal}",
            "Set mqtt.username and mqtt.password_file, or mqtt.cert_file and mqtt.key_file.",
        )
    else:
        yield ok("broker.login", f"{at} let us in without an account")
    yield _anonymous(connection, stranger)
    if not facts.refusal:
        yield from _told(settings, facts)
    yield from _access_list(facts)
    yield from _plaintext(connection)
    yield from _configuration(settings, file)


def _no_mqtt(at: str) -> Finding:
    return fault(
        "broker.protocol",
        f"what answers on {at} does not speak MQTT",
        "Correct mqtt.host and mqtt.port (mosquitto: 1883, with TLS 8883); where that port is the broker's TLS "
        'listener, set mqtt.tls = "on" and mqtt.ca_file; where the broker is older than MQTT 5, set '
        'mqtt.version = "3.1.1".',
    )


def _login(at: str, connection: Connection, facts: BrokerFacts) -> Finding:
    if not facts.refusal:
        return ok("broker.login", f"{at} let the account {connection.username or 'of the certificate'} in")
    return fault(
        "broker.login",
        f"{at} refused the account: {facts.refusal}",
        "Set the password again with `mosquitto_passwd`, reload the broker, write it to mqtt.password_file; with TLS, "
        "check mqtt.ca_file, mqtt.cert_file and that mqtt.host is a name in the broker's certificate.",
    )


def _anonymous(connection: Connection, stranger: BrokerFacts) -> Finding:
    if stranger.refusal:
        return ok("broker.anonymous", "a stranger without account or certificate is not let in")
    local = is_loopback(connection.host)
    say = warning if local else fault
    return say(
        "broker.anonymous",
        "anybody is let in without an account, and may send readings as any publisher",
        "Write `allow_anonymous false` into the broker's configuration, give accounts (`mosquitto_passwd -c FILE "
        f"gridwarden`, `password_file FILE`) and `acl_file`, {RESTART}; then set mqtt.username and mqtt.password_file.",
    )


def _told(settings: Settings, facts: BrokerFacts) -> Iterator[Finding]:
    group = settings.intake.group_messages
    inflight = facts.receive_maximum
    if settings.mqtt.version != "5":
        yield warning(
            "broker.version",
            "MQTT 3.1.1: the broker says nothing of its limits, and a default mosquitto sends 20 messages at a time",
            'Set mqtt.version = "5" where the broker speaks it; else `max_inflight_messages 2000` at the broker.',
        )
    elif inflight is not None and inflight < group:
        yield warning(
            "broker.inflight",
            f"it takes {inflight} messages in flight (mosquitto's default is 20), less than a commit group of {group}",
            f"Write `max_inflight_messages 2000` into the broker's configuration and {RESTART}.",
        )
    else:
        yield ok("broker.inflight", f"{inflight or 65535} messages in flight")
    if facts.maximum_packet_size is not None and facts.maximum_packet_size < WANTED_PACKET_BYTES:
        yield warning(
            "broker.packet",
            f"packets up to {facts.maximum_packet_size} bytes; batches may have {WANTED_PACKET_BYTES}",
            f"Write `max_packet_size {WANTED_PACKET_BYTES}` into the broker's configuration and {RESTART}.",
        )
    if facts.retain_available is not False and settings.mqtt.version == "5":
        yield warning(
            "broker.retain",
            "it keeps retained messages: an old reading would come again as if it were new (it is quarantined)",
            f"Write `retain_available false` into the broker's configuration and {RESTART}.",
        )
    elif settings.mqtt.version == "5":
        yield ok("broker.retain", "no retained messages")
    if facts.session_expiry_s is not None and facts.session_expiry_s < 0xFFFFFFFF:
        yield fault(
            "broker.session",
            f"sessions end {facts.session_expiry_s} s after a disconnect: what comes in a longer outage is lost",
            f"Remove `persistent_client_expiration` from the broker's configuration and {RESTART}.",
        )
    dropped = facts.sys.get(DROPPED_TOPIC)
    if dropped is None:
        yield unseen(
            "broker.dropped",
            "the broker does not tell this account how much it dropped",
            f"Ask with an operator's account: `mosquitto_sub {_where(settings)} -u NAME -P PASSWORD "
            f"-t '{DROPPED_TOPIC}' -C 1`; it should be 0.",
        )
    elif dropped.strip() != "0":
        yield fault(
            "broker.dropped",
            f"the broker dropped {dropped.strip()} messages since its start",
            "Write `max_queued_messages 0` and `max_queued_bytes 4294967296` into the broker's configuration, "
            f"{RESTART}, and have publishers send the lost stretch again.",
        )
    else:
        yield ok("broker.dropped", "0 messages dropped since its start")
    if VERSION_TOPIC in facts.sys:
        yield ok("broker.software", facts.sys[VERSION_TOPIC])


def _where(settings: Settings) -> str:
    """The broker as options of mosquitto's own commands."""
    mqtt = settings.mqtt
    tls = f" --cafile {mqtt.ca_file}" if mqtt.tls == "on" and mqtt.ca_file is not None else ""
    return f"-h {mqtt.host} -p {mqtt.port}{tls}"


def _access_list(facts: BrokerFacts) -> Iterator[Finding]:
    allowed = facts.may_write.get(FORBIDDEN_TOPIC)
    if allowed:
        yield warning(
            "broker.access",
            f"our account may write {FORBIDDEN_TOPIC}: it could send readings in a publisher's name",
            "Use the access list deploy/mosquitto/gridwarden.acl: `acl_file PATH` in the broker's configuration, "
            f"then {RESTART}.",
        )
    elif allowed is False:
        yield ok("broker.access", "our account may not write what publishers write")


def _plaintext(connection: Connection) -> Iterator[Finding]:
    if connection.tls == "off":
        if not is_loopback(connection.host):
            yield fault(
                "broker.tls",
                f"readings and password go to {connection.host} in plaintext",
                'Set mqtt.tls = "on", mqtt.port = 8883 and mqtt.ca_file; the broker needs a TLS listener.',
            )
        return
    if connection.port != PLAIN_PORT and port_open(connection.host, PLAIN_PORT):
        yield warning(
            "broker.plaintext",
            f"{connection.host} also listens on {PLAIN_PORT} without TLS: passwords may pass there in clear",
            f"Remove `listener {PLAIN_PORT}` from the broker's configuration and {RESTART}, or bind it to 127.0.0.1.",
        )
    else:
        yield ok("broker.tls", "TLS, and no plaintext listener beside it")


def _configuration(settings: Settings, file: BrokerFile | None) -> Iterator[Finding]:
    """What only the configuration tells: the queue that drops in silence, and whether sessions survive a restart."""
    if file is None:
        yield unseen(
            "broker.queue",
            "a connection cannot show max_queued_messages; mosquitto's default drops in silence after 1000",
            "On the broker's machine: `grep max_queued /etc/mosquitto/mosquitto.conf` must show max_queued_messages 0 "
            "and a max_queued_bytes for your longest outage.",
        )
        return
    where = "it was started without a configuration file" if file.path == NO_FILE else str(file.path)
    place = "a configuration file (start it with `mosquitto -c FILE`)" if file.path == NO_FILE else str(file.path)
    queued = file.number("max_queued_messages", 1000)
    if queued != 0:
        yield fault(
            "broker.queue",
            f"{where}: the queue of a client that is away drops in silence after {queued} messages",
            f"Write `max_queued_messages 0` and `max_queued_bytes 4294967296` into {place}, then {RESTART}.",
        )
    elif file.number("max_queued_bytes", 0) == 0:
        yield warning(
            "broker.queue",
            f"{where}: the queue has no bound at all, and can fill the broker's memory",
            f"Write `max_queued_bytes 4294967296` (longest outage x bytes a second) into {place}, then {RESTART}.",
        )
    else:
        yield ok("broker.queue", f"{where}: bounded by bytes, not by messages")
    if not file.flag("persistence", default=False):
        yield fault(
            "broker.persistence",
            f"{where}: what waits for us is gone when the broker restarts",
            f"Write `persistence true` and `persistence_location DIR/` into {place}, then {RESTART}.",
        )
    elif file.number("autosave_interval", 1800) > 1:
        yield warning(
            "broker.persistence",
            f"{where}: saved every {file.number('autosave_interval', 1800)} s; a crash loses what came since",
            f"Write `autosave_interval 1` into {place}, then {RESTART}.",
        )
    else:
        yield ok("broker.persistence", f"{where}: saved every second")
    if file.number("max_inflight_messages", 20) < settings.intake.group_messages:
        yield warning(
            "broker.outgoing",
            f"{where}: {file.number('max_inflight_messages', 20)} messages in flight to us, less than a commit group",
            f"Write `max_inflight_messages 2000` into {place}, then {RESTART}.",
        )
