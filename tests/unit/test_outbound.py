"""Where the daemon may call out to (rule W7)."""

from __future__ import annotations

import pytest

from connectors.outbound import ForbiddenAddress, choose_address, parse_target
from connectors.sink import Unavailable


@pytest.mark.parametrize(
    ("url", "allow", "authority", "port"),
    [
        ("https://office.example/leads", [], "office.example", 443),
        ("https://Office.Example:8443/leads?a=1", [], "office.example:8443", 8443),
        ("https://[2001:db8::1]/", [], "[2001:db8::1]", 443),
        ("http://127.0.0.1:9000/x", ["127.0.0.1:9000"], "127.0.0.1:9000", 9000),
        ("http://localhost/x", ["LOCALHOST:80"], "localhost", 80),
        ("http://[::1]:9000/x", ["[::1]:9000"], "[::1]:9000", 9000),
    ],
)
def test_urls_that_may_be_called(url: str, allow: list[str], authority: str, port: int) -> None:
    target = parse_target(url, allow)
    assert (target.authority, target.port) == (authority, port)


@pytest.mark.parametrize(
    "url",
    [
        "http://office.example/",
        "http://127.0.0.1:9000/",
        "http://127.0.0.1:9001/",
        "ftp://office.example/",
        "https://user:pw@office.example/",
        "https://user@office.example/",
        "https://office.example/#x",
        "https:///leads",
        "https://office.example:99999/",
        "https://办公室.example/",
        "https://office.example/a b",
        "https://office.example/\r\nX: 1",
        "https://[::1/",
        "//office.example/",
    ],
)
def test_urls_that_may_not(url: str) -> None:
    with pytest.raises(ForbiddenAddress):
        parse_target(url, ["127.0.0.1:9002", "office.example:80"])


def test_a_refused_url_is_not_repeated_with_its_password() -> None:
    with pytest.raises(ForbiddenAddress) as caught:
        parse_target("https://user:canary-secret@office.example/", [])
    assert "canary-secret" not in str(caught.value)


PRIVATE = [
    "10.0.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "192.168.1.1",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "::1",
    "::",
    "fe80::1%eth0",
    "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "2002:7f00:1::",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_public_name_may_not_lead_inside(address: str) -> None:
    target = parse_target("https://office.example/", [])
    for addresses in ([address], ["93.184.216.34", address]):
        with pytest.raises(ForbiddenAddress):
            choose_address(target, addresses)


@pytest.mark.parametrize("address", ["10.0.0.1", "fc00::1"])
def test_a_listed_host_may_be_private(address: str) -> None:
    target = parse_target("https://office.example:8443/", ["office.example:8443"])
    assert choose_address(target, [address]) == address


def test_the_list_is_of_host_and_port() -> None:
    target = parse_target("https://office.example:8444/", ["office.example:8443"])
    with pytest.raises(ForbiddenAddress):
        choose_address(target, ["10.0.0.1"])


def test_plain_http_goes_to_this_machine_only() -> None:
    target = parse_target("http://localhost:9000/", ["localhost:9000"])
    assert choose_address(target, ["127.0.0.1"]) == "127.0.0.1"
    with pytest.raises(ForbiddenAddress):
        choose_address(target, ["127.0.0.1", "93.184.216.34"])


def test_the_first_address_is_taken_and_none_is_trouble() -> None:
    target = parse_target("https://office.example/", [])
    assert choose_address(target, ["93.184.216.34", "2606:2800:220:1::1"]) == "93.184.216.34"
    with pytest.raises(Unavailable):
        choose_address(target, [])
