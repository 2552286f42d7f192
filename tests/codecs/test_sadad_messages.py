"""Sadad messages: the vendor's vectors as values, payments and their keys, and no card number anywhere."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vafa.codecs.sadad_frames import Frame, FrameType, Reader
from vafa.codecs.sadad_messages import (
    ROW_TYPES,
    CardInfo,
    CardInfoRequest,
    Fault,
    JournalAnswer,
    JournalFilter,
    JournalRequest,
    JournalRow,
    Malformed,
    NotPaid,
    OtherFunction,
    SaleRequest,
    SaleResponse,
    card_info_frame,
    journal_request_frame,
    payment_of,
    payment_of_row,
    read_answer,
    read_ask,
    read_message,
    read_sale_request,
    read_sale_response,
    sale_request_frame,
)
from vafa.model.calendar import Calendar, WallTime
from vafa.model.pan import CardHint
from vafa.model.payment import Payment, PaymentKey, Scheme, Source

RECORDINGS = Path(__file__).parents[1] / "recordings"
PAN = "6219861034529007"  # made up; passes Luhn
TID = "C0000301"
# field -> (first byte, units), from the table in the vendor's document
PLACES = {
    "response": (0, 4), "amount": (8, 13), "card": (34, 17), "processing": (68, 7), "trace": (82, 7),
    "date": (96, 6), "rrn": (124, 13), "approval": (150, 7), "terminal": (164, 9), "merchant": (182, 16),
    "text": (214, 30),
}  # fmt: skip


def frame_of(name: str) -> Frame:
    lines = (RECORDINGS / f"{name}.hex").read_text(encoding="utf-8").splitlines()
    data = bytes.fromhex("".join(line for line in lines if not line.startswith("#")))
    (frame,) = Reader().feed(data)
    assert isinstance(frame, Frame)
    return frame


def response_with(**fields: str) -> bytes:
    """The vendor's approved sale with some fields replaced."""
    data = bytearray(frame_of("sadad-sale-response").data)
    for name, value in fields.items():
        first, units = PLACES[name]
        data[first : first + 2 * units] = value.encode("utf-16-le").ljust(2 * units, b"\0")[: 2 * units]
    return bytes(data)


def parsed(**fields: str) -> SaleResponse:
    response = read_sale_response(response_with(**fields))
    assert isinstance(response, SaleResponse)
    return response


@pytest.mark.parametrize("merchant", ["\U0001f600 shop", "shop 1234567890\U0001f600"])
def test_a_sign_of_two_units_moves_no_other_field(merchant: str) -> None:
    """The second one is cut by its field's edge: half of it stands at the end, and is no letter."""
    response = parsed(merchant=merchant, text="خوش آمدید")
    assert response.merchant_id == merchant.encode("utf-16-le")[:32].decode("utf-16-le", "replace")
    assert (response.text, response.terminal_id) == ("خوش آمدید", TID)


def test_halves_of_a_sign_at_the_edges_of_two_fields_do_not_join() -> None:
    data = bytearray(response_with(merchant="shop", text="  thank you"))
    data[212:216] = "\U0001f600".encode("utf-16-le")
    response = read_sale_response(bytes(data))
    assert isinstance(response, SaleResponse)
    assert response.merchant_id == "shop"
    assert response.text == "\ufffd thank you"


def rows_of(name: str) -> tuple[JournalRow, ...]:
    answer = read_message(frame_of(name))
    assert isinstance(answer, JournalAnswer)
    assert not any(isinstance(row, Malformed) for row in answer.rows)
    return tuple(row for row in answer.rows if isinstance(row, JournalRow))


def row_bytes(**fields: str) -> bytes:
    row = {
        "type": "04", "amount": "000000001000", "trace": "000996", "date": "20181230", "time": "153908",
        "card": "621986**3864", "rrn": "320062616116", "response": "00",
    } | fields  # fmt: skip
    return "".join(row.values()).encode("ascii")


def answer_bytes(function: str, payload: bytes) -> bytes:
    return f"{function}{len(payload):03d}".encode("ascii") + payload


def one_row(**fields: str) -> JournalRow:
    answer = read_answer(answer_bytes("0002", row_bytes(**fields)))
    assert isinstance(answer, JournalAnswer)
    (row,) = answer.rows
    assert isinstance(row, JournalRow)
    return row


def test_the_sale_response_of_the_document() -> None:
    response = read_message(frame_of("sadad-sale-response"))
    assert isinstance(response, SaleResponse)
    assert response == SaleResponse(
        response="00",
        amount=1000,
        card=CardHint("621986", "3864"),
        processing="000000",
        trace="000996",
        paid_at=WallTime(Calendar.JALALI, 1397, 10, 9, 15, 39, 8),
        rrn="320062616116",
        approval="0014",
        terminal_id=TID,
        merchant_id="000000000000152",
        text="",
    )


def test_the_journal_rows_of_the_document() -> None:
    rows = rows_of("sadad-last-five-response")
    assert [(row.type, row.amount, row.trace, row.rrn, row.response) for row in rows] == [
        ("04", 1065401000, "001027", "320063166409", "00"),
        ("04", 106541000, "001026", "320063166408", "00"),
        ("04", 1000, "001025", "320063166407", "00"),
        ("04", 1000, "001024", "320063166406", "00"),
        ("22", 1898010, "001022", "320063166393", "00"),
    ]
    assert rows[0].paid_at == WallTime(Calendar.GREGORIAN, 2019, 1, 6, 13, 31, 36)
    assert {row.card for row in rows} == {CardHint("621986", "3864")}


def test_the_requests_of_the_document_are_what_the_encoders_send() -> None:
    api = "5.3.185.1336"
    assert sale_request_frame(SaleRequest(amount=1000, api_version=api)) == frame_of("sadad-sale-request")
    full = SaleRequest(amount=1000, sale_id="987654", order_id="321654", api_version=api)
    assert sale_request_frame(full) == frame_of("sadad-sale-request-options")
    assert card_info_frame() == frame_of("sadad-card-info-request")
    assert journal_request_frame(JournalRequest(5)) == frame_of("sadad-last-five-request")


def test_the_requests_of_the_document_read_back() -> None:
    api = "5.3.185.1336"
    assert read_message(frame_of("sadad-sale-request")) == SaleRequest(amount=1000, api_version=api)
    full = SaleRequest(amount=1000, sale_id="987654", order_id="321654", api_version=api)
    assert read_message(frame_of("sadad-sale-request-options")) == full
    assert read_message(frame_of("sadad-card-info-request")) == CardInfoRequest()
    assert read_message(frame_of("sadad-last-five-request")) == JournalRequest(5, JournalFilter.OK)
    assert read_message(frame_of("sadad-inm")) is None


@given(
    st.builds(
        SaleRequest,
        amount=st.integers(1, 10**13 - 1),
        invoice=st.from_regex(r"[A-Z0-9]{0,10}", fullmatch=True),
        order_id=st.from_regex(r"[A-Z0-9-]{0,12}", fullmatch=True),
        sale_id=st.from_regex(r"[0-9]{0,12}", fullmatch=True),
        card_hash=st.just(b"") | st.binary(min_size=32, max_size=32).filter(any),
        receipt_text=st.binary(max_size=500),
    )
)
def test_a_sale_request_reads_back_as_it_was_sent(request_: SaleRequest) -> None:
    assert read_sale_request(sale_request_frame(request_).data) == request_


def test_the_printed_text_travels_as_opaque_bytes() -> None:
    text = bytes(range(256))
    data = sale_request_frame(SaleRequest(amount=1, receipt_text=text)).data
    assert data.endswith(b"\x20256" + text)


@pytest.mark.parametrize(
    "request_",
    [
        SaleRequest(amount=0),
        SaleRequest(amount=-1),
        SaleRequest(amount=10**13),
        SaleRequest(amount=1, invoice="12345678901"),
        SaleRequest(amount=1, order_id="سفارش"),
        SaleRequest(amount=1, card_hash=b"short"),
        SaleRequest(amount=1, receipt_text=bytes(501)),
        SaleRequest(amount=1, receipt_text=bytes(500), order_id="1" * 500),
        SaleRequest(amount=1, order_id="1" * 1000),
    ],
)
def test_what_does_not_fit_the_wire_is_refused_before_anything_is_sent(request_: SaleRequest) -> None:
    with pytest.raises(ValueError, match=r"."):
        sale_request_frame(request_)


@pytest.mark.parametrize("count", [-1, 14])
def test_a_journal_has_at_most_thirteen_rows(count: int) -> None:
    with pytest.raises(ValueError, match="13"):
        journal_request_frame(JournalRequest(count))


def test_option_lengths_padded_with_blanks_are_read() -> None:
    data = sale_request_frame(SaleRequest(amount=1, order_id="321654")).data.replace(b"006", b"  6")
    assert read_sale_request(data) == SaleRequest(amount=1, order_id="321654")


def test_one_sale_live_and_polled_has_one_key() -> None:
    live = payment_of(parsed(), TID)
    polled = payment_of_row(one_row(), TID)
    assert isinstance(live, Payment)
    assert isinstance(polled, Payment)
    assert live.key == polled.key == PaymentKey(Scheme.RRN, TID, "320062616116")
    assert (live.source, polled.source) == (Source.LIVE, Source.POLLED)
    assert live.amount == polled.amount
    assert live.card == polled.card
    assert isinstance(live.paid_at, WallTime)
    assert isinstance(polled.paid_at, WallTime)
    assert live.paid_at.instant("Asia/Tehran") == polled.paid_at.instant("Asia/Tehran")


@pytest.mark.parametrize("live", ["62616116", "0000062616116", " 62616116 ", "۶۲۶۱۶۱۱۶"])
def test_padding_of_the_reference_number_does_not_make_a_second_payment(live: str) -> None:
    assert parsed(rrn=live).rrn == one_row(rrn="000062616116").rrn == "000062616116"


@pytest.mark.parametrize("rrn", ["", "            ", "000000000000"])
def test_no_reference_number_is_no_payment(rrn: str) -> None:
    live = payment_of(parsed(rrn=rrn), TID)
    assert isinstance(live, Fault)
    row = one_row(rrn=rrn.ljust(12, "0"))
    assert isinstance(payment_of_row(row, TID), NotPaid)


def test_a_declined_answer_or_row_is_no_payment() -> None:
    assert payment_of(parsed(response="51"), TID) == NotPaid("response code 51")
    assert payment_of(parsed(response=""), TID) == NotPaid("response code missing")
    assert payment_of_row(one_row(response="51"), TID) == NotPaid("response code 51")


def test_another_terminals_answer_is_a_fault_and_never_a_payment() -> None:
    found = payment_of(parsed(), "C0000302")
    assert isinstance(found, Fault)
    assert "C0000301" in found.message


def test_an_answer_without_a_terminal_id_belongs_to_the_configured_terminal() -> None:
    found = payment_of(parsed(terminal=""), TID)
    assert isinstance(found, Payment)
    assert found.key.tid == TID


def test_approved_without_an_amount_is_a_fault() -> None:
    assert isinstance(payment_of(parsed(amount=""), TID), Fault)


@pytest.mark.parametrize(
    ("row_type", "is_sale"),
    [("04", True), ("05", True), ("07", True), ("17", True), ("55", True), ("22", False), ("24", False),
     ("25", False), ("99", False), ("", False)],
)  # fmt: skip
def test_bills_and_top_ups_are_no_sales_and_the_unknown_is_not_guessed(row_type: str, is_sale: bool) -> None:
    payment = payment_of_row(one_row(type=row_type.ljust(2)), TID)
    assert isinstance(payment, Payment)
    assert payment.is_sale is is_sale


def test_every_row_type_the_sources_name_is_decided() -> None:
    assert {int(code) for code in ROW_TYPES} == {4, 5, 6, 7, 10, 17, 18, 22, 24, 25, 55, 56, 97, 98}


@pytest.mark.parametrize(
    ("processing", "is_sale"), [("000000", True), ("280000", True), ("170000", False), ("310000", False)]
)
def test_live_bills_are_no_sales(processing: str, is_sale: bool) -> None:
    payment = payment_of(parsed(processing=processing), TID)
    assert isinstance(payment, Payment)
    assert payment.is_sale is is_sale


def test_rows_with_order_ids_are_read_to_the_last() -> None:
    payload = row_bytes() + b"06321654" + row_bytes(rrn="320062616117") + b"00"
    answer = read_answer(answer_bytes("0014", payload))
    assert isinstance(answer, JournalAnswer)
    assert [row.order_id for row in answer.rows if isinstance(row, JournalRow)] == ["321654", ""]


def test_a_garbled_row_does_not_hide_the_others() -> None:
    payload = row_bytes() + row_bytes(amount="00000000x000") + row_bytes(rrn="320062616117")
    answer = read_answer(answer_bytes("0002", payload))
    assert isinstance(answer, JournalAnswer)
    assert [type(row) for row in answer.rows] == [JournalRow, Malformed, JournalRow]
    ordered = read_answer(answer_bytes("0014", row_bytes() + b"00" + row_bytes() + b"xx" + row_bytes()))
    assert isinstance(ordered, JournalAnswer)
    assert [type(row) for row in ordered.rows] == [JournalRow, Malformed]


def test_an_empty_journal_is_no_error() -> None:
    assert read_answer(b"0002000") == JournalAnswer((), with_order_ids=False)


@pytest.mark.parametrize("digits", ["0a" * 32, "0A" * 32])
def test_card_info_keeps_the_hash_as_bytes_only(digits: str) -> None:
    payload = digits.encode("ascii") + b"C0000301" + b"000000000000152" + b"621986**3864"
    info = read_answer(answer_bytes("0004", payload))
    assert info == CardInfo(CardHint("621986", "3864", b"\x0a" * 32), TID, "000000000000152")
    assert digits.lower() not in repr(info).lower()


@pytest.mark.parametrize("digits", [b"0" * 64, b"\0" * 64, b"z" * 64])
def test_card_info_without_a_readable_hash_still_gives_the_mask(digits: bytes) -> None:
    info = read_answer(answer_bytes("0004", digits + b"C0000301" + b" " * 15 + b"621986**3864"))
    assert isinstance(info, CardInfo)
    assert info.card == CardHint("621986", "3864")


def test_functions_vafa_does_not_read_are_named() -> None:
    assert read_answer(b"0006003abc") == OtherFunction("0006", 3)
    assert read_ask(b"0005000") == OtherFunction("0005", 0)


@pytest.mark.parametrize(
    "data",
    [b"", b"0002", b"xxxx000", b"0002005abc", b"0002003abc", b"0004003abc"],
)
def test_bad_version_002_data_is_a_value(data: bytes) -> None:
    assert isinstance(read_answer(data), Malformed)


@pytest.mark.parametrize("data", [b"", b"0001002ab", b"0001003059", b"0001003x51"])
def test_bad_questions_are_values(data: bytes) -> None:
    assert isinstance(read_ask(data), Malformed)


def test_bad_sale_data_is_a_value_that_quotes_nothing() -> None:
    good = sale_request_frame(SaleRequest(amount=1000, order_id="321654")).data
    for bad in (
        b"",
        good[:37],
        good[:40],
        good[:-1],
        good.replace(b"1000", b"10x0"),
        good.replace(b"0200", b"0400"),
    ):
        assert isinstance(read_sale_request(bad), Malformed)
    assert isinstance(read_sale_response(response_with()[:-1]), Malformed)
    assert isinstance(read_sale_response(response_with(amount="12x")), Malformed)
    assert isinstance(read_message(Frame("001", FrameType.RESPONSE, b"encrypted")), Malformed)


def test_a_response_that_newer_firmware_made_longer_is_read() -> None:
    assert read_sale_response(response_with() + b"more") == parsed()


def test_a_time_block_without_a_time_is_none() -> None:
    data = bytearray(response_with())
    data[108:124] = bytes(16)
    response = read_sale_response(bytes(data))
    assert isinstance(response, SaleResponse)
    assert response.paid_at is None


@pytest.mark.parametrize(
    ("field", "number"),
    [
        ("card", PAN),
        ("card", "۶۲۱۹۸۶۱۰۳۴۵۲۹۰۰۷"),
        ("card", "6219\u200c861034529007"),
        ("merchant", PAN),
        ("text", PAN),
        ("text", "کارت ۶۲۱۹۸۶۱۰۳۴۵۲۹۰۰۷"),
        ("text", "6219\u200c861034529007"),
    ],
)
def test_a_full_card_number_in_a_response_is_gone_at_once(field: str, number: str) -> None:
    response = parsed(**{field: number})
    payment = payment_of(response, TID)
    for shown in (repr(response), repr(payment), str(response)):
        assert PAN not in shown
        assert number not in shown
        assert PAN[6:12] not in shown
    if field == "card":
        assert response.card == CardHint("621986", "9007")


def test_a_card_number_in_an_id_becomes_its_token_and_nothing_else_changes() -> None:
    payload = row_bytes() + f"18A-{PAN}".encode("ascii")
    answer = read_answer(answer_bytes("0014", payload), lambda _pan: "tok7f")
    assert isinstance(answer, JournalAnswer)
    (row,) = answer.rows
    assert isinstance(row, JournalRow)
    assert row.order_id == "A-tok7f"
    request = read_sale_request(sale_request_frame(SaleRequest(amount=1, order_id=PAN)).data)
    assert isinstance(request, SaleRequest)
    assert request.order_id == "621986******9007"


@given(st.sampled_from(["000", "001", "002", "300"]), st.sampled_from(FrameType), st.binary(max_size=400))
def test_no_data_makes_the_parser_raise(version: str, kind: FrameType, data: bytes) -> None:
    read_message(Frame(version, kind, data))


@given(st.binary(max_size=274))
def test_no_response_of_the_right_length_makes_the_parser_raise(data: bytes) -> None:
    response = read_sale_response(data.ljust(274, b"\0"))
    if isinstance(response, SaleResponse):
        payment_of(response, TID)
        if response.paid_at is not None:
            response.paid_at.instant("Asia/Tehran")


@given(st.sampled_from(["0002", "0004", "0014", "0001"]), st.binary(max_size=200))
def test_no_payload_makes_the_parser_raise(function: str, payload: bytes) -> None:
    read_answer(answer_bytes(function, payload))
    read_ask(answer_bytes(function, payload))
