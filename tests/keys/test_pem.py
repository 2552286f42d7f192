"""What is kept of a pasted certificate file: certificates, and no other byte of it."""

import time
from pathlib import Path

import pytest
from certificates import Authority
from hypothesis import given
from hypothesis import strategies as st

from vafa.keys.pem import certificates


def test_certificates_are_kept_and_what_stands_around_them_is_not(tmp_path: Path) -> None:
    pem = Authority(tmp_path).file.read_text()
    around = f"Subject: somebody\n4111111111111111\n{pem}\n0912 123 6789\n{pem}"
    kept = certificates(around).decode()
    assert kept == pem * 2
    assert certificates(kept) == kept.encode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4111111111111111",
        "-----BEGIN CERTIFICATE-----\n4111111111111111\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nMAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n",
    ],
)
def test_what_is_no_certificate_is_not_kept(text: str) -> None:
    assert certificates(text) == b""


@given(st.text(max_size=200))
def test_any_text_is_answered(text: str) -> None:
    certificates(f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----")


def test_blanks_without_end_cost_no_more_than_their_number() -> None:
    """Found by fuzzing: two thousand of them took seconds."""
    began = time.process_time()
    assert certificates("-----BEGIN CERTIFICATE-----" + " " * 20_000 + "x") == b""
    assert time.process_time() - began < 2.0
