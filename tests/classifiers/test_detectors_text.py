"""Addresses of mail and of machines, and the policy's own words: what is one, and what only looks like one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from classifiers.detectors.terms import pattern_error
from classifiers.types import Dictionary, Pattern, ScanRules

Find = Callable[..., list[tuple[str, str]]]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("write to jo@example.com.", "jo@example.com"),
        ("<jo.doe+tag@mail.example.co.uk>", "jo.doe+tag@mail.example.co.uk"),
        ("'jo@example.com'", "jo@example.com"),
        ("JO_DOE@EXAMPLE.ORG", "JO_DOE@EXAMPLE.ORG"),
        ("jörg@müller.de", "jörg@müller.de"),
        ("user@xn--mller-kva.xn--p1ai", "user@xn--mller-kva.xn--p1ai"),
        ("mailto:jo@example.com?subject=x", "jo@example.com"),
        ("root@[192.0.2.1]", "root@[192.0.2.1]"),
    ],
)
def test_an_email_address_is_found(found: Find, text: str, address: str) -> None:
    assert ("EMAIL_ADDRESS", address) in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "@app.route",
        "foo@bar",
        "a @ b.com",
        "npm i @types/node@18.2.0",
        "icon@2x.png",
        "git@github.com:o/r.git",
        "5 @ 3.50",
    ],
)
def test_what_only_holds_an_at_sign_is_no_address(found: Find, text: str) -> None:
    assert "EMAIL_ADDRESS" not in dict(found(text))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("host 10.1.2.3:8080", "10.1.2.3"),
        ("from 86.231.85.193.", "86.231.85.193"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("d80:e4b5:79da:6cf6:71f3:51f7:9161:c319", "d80:e4b5:79da:6cf6:71f3:51f7:9161:c319"),
        ("::ffff:10.1.2.3", "::ffff:10.1.2.3"),
        ("fe80::1 is it", "fe80::1"),
        ("http://127.0.0.1:8080/", "127.0.0.1"),
        ("on [::1]:8080", "::1"),
        ("at 2001:db8:0:1::7.", "2001:db8:0:1::7"),
    ],
)
def test_an_ip_address_is_found(found: Find, text: str, address: str) -> None:
    assert ("IP_ADDRESS", address) in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0",
        "::",
        "256.1.1.1",
        "1.2.3.4.5",
        "v1.2.3.4",
        "version 1.2.3.4",
        "fixed in 1.2.3.4",
        "upgrade to 1.2.3.4",
        "pip install x==1.2.3.4",
        "12:30:45",
        "a::b",
        "std::vector::iterator",
        "00:1A:2B:3C:4D:5E",
        "10.1.2",
        "rows[::2]",
        "rows[1::2]",
        "a[:, ::-1]",
    ],
)
def test_what_only_looks_like_an_ip_address_is_not_one(found: Find, text: str) -> None:
    assert "IP_ADDRESS" not in dict(found(text))


PROJECTS = ScanRules(
    dictionaries=(Dictionary("projects", ("Bluebird", "Blue", "Project Gray Owl", "Zürich-X", "#Falcon")),)
)


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("about bluebird now", "bluebird"),
        ("BLUEBIRD", "BLUEBIRD"),
        ("blue bird", "blue"),
        ("bluebird,bluebird", "bluebird"),
        ("the project\n gray  owl team", "project\n gray  owl"),
        ("in ZÜRICH-X!", "ZÜRICH-X"),
        ("see #falcon", "#falcon"),
    ],
)
def test_a_dictionary_finds_its_terms_as_whole_words_in_any_case(found: Find, text: str, term: str) -> None:
    assert ("projects", term) in found(text, PROJECTS)


@pytest.mark.parametrize("text", ["bluebirds", "ébluebird", "xblue", "blue_2", "project gray", "zürich"])
def test_a_dictionary_does_not_find_parts_of_words(found: Find, text: str) -> None:
    assert found(text, PROJECTS) == []


def test_terms_that_share_a_blank_are_all_found(found: Find) -> None:
    assert len(found("blue bluebird blue blue", PROJECTS)) == 4


def test_a_dictionary_of_many_terms_still_works(found: Find) -> None:
    terms = tuple(f"codename-{number:05d}" for number in range(5000))
    assert found("is Codename-04321 late?", ScanRules(dictionaries=(Dictionary("names", terms),), digest="many")) == [
        ("names", "Codename-04321")
    ]


@pytest.mark.parametrize(
    ("regex", "text", "hit"),
    [
        ("EMP-\\d{6}", "it is EMP-123456.", "EMP-123456"),
        ("^EMP-\\d{6}$", "EMP-123456", "EMP-123456"),
        ("\\AEMP-\\d{6}\\z", "EMP-123456", "EMP-123456"),
        ("(?i)case[ -]\\d+", "CASE 77", "CASE 77"),
        ("größe \\d+", "größe 7", "größe 7"),
    ],
)
def test_an_admin_pattern_finds_what_it_matches(found: Find, regex: str, text: str, hit: str) -> None:
    assert found(text, ScanRules(patterns=(Pattern("own", regex),), digest=regex)) == [("own", hit)]


def test_an_admin_pattern_that_re2_refuses_is_explained() -> None:
    assert pattern_error("a(?=b)") is not None
    assert pattern_error("(a") is not None
    assert pattern_error("a(b|c)\\d+$") is None
