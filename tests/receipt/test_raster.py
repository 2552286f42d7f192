"""Pages as dots: wrapped to the paper, the right way round, refused where Persian type cannot be set."""

from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from vafa.model.errors import ReceiptFault
from vafa.receipt import raster, selfcheck
from vafa.receipt.bitmap import Bitmap
from vafa.receipt.page import Code, Letterhead, Logo, Page, Rule, Style, Text, page
from vafa.receipt.raster import MARGIN_PX, Typesetter
from vafa.receipt.slip import Known, Shop, Slip, slip_for_award

SETTERS = {width: Typesetter(width) for width in raster.WIDTHS_PX}


def columns(picture: Bitmap) -> list[int]:
    """The columns with a black dot."""
    return [x for x in range(picture.width) if any(picture.black(x, y) for y in range(picture.height))]


def test_this_machine_draws_the_known_line_as_it_was_drawn_and_looked_at() -> None:
    assert selfcheck.agrees(raster.known_line())


def test_letters_drawn_unjoined_from_the_left_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def unjoined() -> Bitmap:
        image = Image.new("1", (selfcheck.WIDTH_PX, selfcheck.HEIGHT_PX), 1)
        font = ImageFont.truetype(
            str(resources.files("vafa.receipt") / "fonts" / "Vazirmatn-Regular.ttf"),
            selfcheck.SIZE_PX,
            layout_engine=ImageFont.Layout.BASIC,
        )
        ImageDraw.Draw(image).text(
            (selfcheck.WIDTH_PX - 2, selfcheck.HEIGHT_PX // 2), selfcheck.LINE, font=font, fill=0, anchor="rm"
        )
        return raster._bitmap(image)

    monkeypatch.setattr(raster, "known_line", unjoined)
    with pytest.raises(ReceiptFault, match="cannot set Persian") as refused:
        Typesetter(384)
    assert refused.value.fix == "sudo apt install libfribidi0"


def test_pillow_without_raqm_is_refused_by_name_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_raqm() -> Bitmap:
        raise KeyError("setting text direction, language or font features is not supported without libraqm")

    monkeypatch.setattr(raster, "known_line", without_raqm)
    with pytest.raises(ReceiptFault, match="FriBidi"):
        Typesetter(384)


@pytest.mark.parametrize("width", raster.WIDTHS_PX)
def test_every_line_stays_inside_the_margins(width: int) -> None:
    text = "یک جمله خیلی بلند که روی یک سطر کاغذ باریک جا نمی‌گیرد و باید شکسته شود " * 3
    for style in Style:
        black = columns(SETTERS[width].draw(Page("fa", (Text(text, style),))))
        assert min(black) >= MARGIN_PX - 2
        assert max(black) < width - MARGIN_PX + 2


def test_a_persian_line_starts_at_the_right_and_an_english_one_at_the_left() -> None:
    setter = SETTERS[384]
    assert max(columns(setter.draw(Page("fa", (Text("مانده"),))))) > 370
    assert min(columns(setter.draw(Page("en", (Text("Balance"),))))) < 14
    assert max(columns(setter.draw(Page("en", (Text("سپاس"),))))) > 370, "a Persian footer on an English slip"


def test_wrapping_loses_no_word_and_keeps_a_number_whole() -> None:
    phone = "\u2066021 8877 6655\u2069"
    text = f"برای رزرو میز با شماره تلفن رستوران یعنی {phone} در ساعت کاری تماس بگیرید"
    lines = SETTERS[384].wrap(Text(text), "fa")
    assert len(lines) > 1
    assert " ".join(lines) == text
    assert sum(phone in line for line in lines) == 1


def test_a_word_longer_than_the_paper_is_cut_and_nothing_of_it_is_lost() -> None:
    address = "https://negin.example/" + "abcdefgh" * 12
    lines = SETTERS[384].wrap(Text(f"\u2066{address}\u2069"), "fa")
    assert len(lines) > 1
    assert "".join(line.strip("\u2066\u2069") for line in lines) == address
    assert all(line.startswith("\u2066") and line.endswith("\u2069") for line in lines)


def test_a_line_breaks_first_where_its_wording_says() -> None:
    text = "۳۰ امتیاز\vفقط تا پایان ۳۱ خرداد\v۱۴۰۵ معتبر است"
    assert SETTERS[384].wrap(Text(text), "fa") == ["۳۰ امتیاز فقط تا پایان ۳۱ خرداد", "۱۴۰۵ معتبر است"]


def test_a_strong_line_a_little_too_long_is_set_a_little_smaller_rather_than_on_two_lines() -> None:
    line = "۱۲۵ امتیاز بابت برگشت خرید کسر شد"
    assert len(SETTERS[576].wrap(Text(line, Style.STRONG), "fa")) == 1
    height = SETTERS[576].draw(Page("fa", (Text(line, Style.STRONG),))).height
    assert height == SETTERS[576].draw(Page("fa", (Text("۱۲۵", Style.STRONG),))).height


def test_a_wrapped_line_has_no_lonely_last_word() -> None:
    lines = SETTERS[384].wrap(Text("۱۲۵ امتیاز بابت برگشت خرید کسر شد", Style.STRONG), "fa")
    assert lines == ["۱۲۵ امتیاز بابت", "برگشت خرید کسر شد"]


def test_a_slip_has_the_merchants_lines_around_it_and_a_code_only_for_what_it_says() -> None:
    shop = Shop("کافه نگین")
    head = Letterhead(header=("شعبه ونک",), footer=("سپاس",), code="https://negin.example/{claim}")
    unknown = slip_for_award(shop, 10_000, 1, Known.UNKNOWN, claim="482917", number="1-1-7")
    member = slip_for_award(shop, 10_000, 1, Known.MEMBER, number="1-1-8")
    assert Code("https://negin.example/482917") in page(unknown, "fa", letterhead=head).blocks
    blocks = page(member, "fa", letterhead=head).blocks
    assert not [block for block in blocks if isinstance(block, Code)]
    assert blocks[0] == Text("شعبه ونک", Style.TITLE)
    assert blocks[-1] == Text("سپاس")
    assert Rule() in blocks


def test_a_logo_stands_in_the_middle_and_is_never_wider_than_the_paper(tmp_path: Path) -> None:
    Image.new("RGB", (1000, 100), "black").save(tmp_path / "wide.png")
    dots = raster.logo(tmp_path / "wide.png", 384)
    assert (dots.width, dots.height) == (384, 38)
    small = tmp_path / "small.png"
    small.write_bytes(raster.png(Bitmap(8, 1, b"\xff")))
    drawn = SETTERS[384].draw(Page("fa", (Logo(str(small)),)))
    assert columns(drawn) == list(range(188, 196))


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + bytes(40), b"<svg/>"])
def test_what_is_no_picture_is_refused_as_a_logo(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "logo").write_bytes(data)
    with pytest.raises(ReceiptFault, match="no PNG") as refused:
        raster.logo(tmp_path / "logo", 384)
    assert refused.value.code == "PRN-012"


def test_a_page_without_lines_prints_nothing() -> None:
    assert page(Slip(), "fa", letterhead=Letterhead(header=("شعبه ونک",))).blocks == ()
    assert SETTERS[384].draw(Page("fa")).height == 0


@given(st.text(max_size=60), st.sampled_from(["fa", "en"]))
def test_whatever_a_shop_writes_in_its_lines_is_drawn_or_left_out_but_never_stops_a_slip(
    line: str, lang: str
) -> None:
    slip = Slip((slip_for_award(Shop("نگین"), 10_000, 1, Known.MEMBER).lines[0],))
    drawn = SETTERS[384].draw(page(slip, lang, letterhead=Letterhead(header=(line,), footer=(line,))))
    assert drawn.height > 0
