"""A shop whose programme uses every rule."""

import contextlib

from shop import Shop

from vafa.app.recheck import Recheck
from vafa.club.programme import Programme, parse
from vafa.ledger.storage import connect_reader
from vafa.ledger.verify import Bad, verify

PHONE, OTHER = "09121236789", "09121230000"
RICH = """
schema = 1
[name]
fa = "مغازه"
[earn]
points = 1
per = 1_000
[cap]
payment = 500
day = 600
budget = 5_000
[expiry]
months = 6
round = "month"
[pending]
hours = 24
[tier.plain]
at_least = 0
name_fa = "عادی"
[tier.good]
at_least = 300_000
name_fa = "خوب"
extra = 50
[stamp.cup]
name_fa = "قهوه"
needed = 3
gap_hours = 1
[bonus.welcome]
kind = "first-purchase"
points = 20
[bonus.guest]
kind = "referral"
points = 5
referrer_points = 50
[bonus.lunch]
kind = "happy-hours"
hours = "12:00-14:00"
extra = 100
"""


def with_programme(shop: Shop, text: str = RICH) -> Programme:
    programme = parse(text)
    shop.programmes.activate(programme, 0)
    return programme


def faults(shop: Shop) -> tuple[Bad, ...]:
    """What verify finds, every award recomputed from its own inputs."""
    with contextlib.closing(connect_reader(shop.ledger.path)) as connection:
        return verify(connection, Recheck(connection)).bad
