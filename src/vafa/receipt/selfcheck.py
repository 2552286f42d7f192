"""The line a machine must be able to draw before it may print Persian, and how it looks.

It has what goes wrong without FriBidi: joined letters, a mirrored bracket, a number inside an isolate, digits
with a separator. Another version of FreeType may move a dot at an edge; unjoined letters move nearly all.
The picture was drawn by this module's neighbour `raster` and looked at; a test draws it by other means too.
"""

from base64 import b85decode
from zlib import decompress

from vafa.receipt.bitmap import Bitmap

LINE = "وفا (تلفن: \u2066021-887\u2069) ۱٬۲۳۴ می\u200cخواهم"
SIZE_PX = 25
WIDTH_PX = 320
HEIGHT_PX = 40
_DIFFERENT_MAX = 0.10  # of the black dots of both; unjoined or unordered letters differ by more than 0.6

_DRAWN = """
c-rmM!D`$v5CG5-Q=}ZkI!6^uw&V*0f!2o-|B8L-*`<f}uxu0p>198mAEU6)y)5|#<<zTgb-}DVlI*NQb|H{ksrIrSKQyE9*Z}|HIyn$KJrG
kbjOhimPyu+fy&q!oklV2xbAVmur|uc8H+U-?2$^eWVuaIAoej4Ul)PKj9_kw*vI;m?Dx@FXxF4EaKCHg9ux7V-GIffFO~!Q0NLjBwKy)xT8
}1bR{F!?noO$X_`B&W6$ILAM{NobX4Kth^N~xJi^<6Nd%F)@Zy=wQ4wZhTPCZ2=bg&Cj~{<4|3!O5^+n>mc`V|29%RZwFs2Muqd3kMZ>-XL{
B!;-V$)|R?1d~z!0EubpzXGI|>%{TbOkzBQLODdt5x`y1AYib-lMp!5JQ`3=WYU&*2mC3zfCb@E}7w<q$-L)Ouj1n=M+<dEi1^M1x(}shKV`
5W%uvNB#^3lQF1|d8TsdNsw0=LWrLeB1~3s=8Am7AR1iQZ6Oy17@u^?koX$olUzz2$@3yG3-&3tL3@>raOudL)N&0Mn|TOs$Nwz|%|eGN(a{
@qfIWE*@tl4s!#=*-<C((K(oRN8eTK$C$8T3XXmcy77CE!T<HT^%swkqQw
"""


def agrees(drawn: Bitmap) -> bool:
    """Whether `drawn` is the known line, but for a few dots at the edges of letters."""
    expected = int.from_bytes(decompress(b85decode(_DRAWN.replace("\n", ""))))
    got = int.from_bytes(drawn.rows)
    black = expected.bit_count() + got.bit_count()
    return (drawn.width, drawn.height) == (WIDTH_PX, HEIGHT_PX) and (
        expected ^ got
    ).bit_count() <= _DIFFERENT_MAX * black
