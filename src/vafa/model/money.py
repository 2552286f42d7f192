"""Money is an integer in the minor unit of a currency epoch; there are no floats anywhere.

Iran's rial is being redenominated (law of 2025-10-05: one new rial = 10,000 current rial), so an amount
means nothing without its epoch. Vafa stores the epoch beside every amount from the first day.
"""

from enum import IntEnum

RIALS_PER_TOMAN = 10
CURRENT_RIALS_PER_NEW_RIAL = 10_000


class Currency(IntEnum):
    """The currency epoch of an amount. Stored; never renumber."""

    RIAL_CURRENT = 0  # ISO 4217 IRR, what every terminal sends today
    RIAL_NEW = 1  # reserved for the redenominated rial; no terminal sends it yet


IN_CURRENT_RIAL = {Currency.RIAL_CURRENT: 1, Currency.RIAL_NEW: CURRENT_RIALS_PER_NEW_RIAL}


def in_rial(amount: int, currency: int) -> int:
    """An amount in current rial, exactly: sums, thresholds and bands are told in it."""
    return amount * CURRENT_RIALS_PER_NEW_RIAL if currency == Currency.RIAL_NEW else amount


def converted(amount: int, of: Currency, into: Currency) -> int | None:
    """An amount in the minor units of another epoch, exactly; None where it is no whole number of them."""
    units, rest = divmod(amount * IN_CURRENT_RIAL[of], IN_CURRENT_RIAL[into])
    return None if rest else units


AMOUNT_MAX = 10**13 - 1  # thirteen digits: Sadad's amount field, the widest of the known protocols
