"""Programme versions: each activation covers its own time, also of a version that comes back."""

from shop import PROGRAMME, Shop

from vafa.club.programme import parse

FIRST = parse(PROGRAMME)
SECOND = parse(PROGRAMME.replace("per = 10", "per = 20"))


def test_a_version_that_comes_back_leaves_the_times_between_to_the_other(shop: Shop) -> None:
    shop.programmes.activate(SECOND, 1_000)
    shop.programmes.activate(FIRST, 2_000)
    for _ in range(2):
        assert [shop.programmes.at(instant) for instant in (0, 999, 1_000, 1_999, 2_000)] == [
            FIRST, FIRST, SECOND, SECOND, FIRST,
        ]  # fmt: skip
        shop.restart()
        shop.programmes.activate(FIRST, None)  # as it is already: nothing changes
    assert shop.verified().bad == ()


def test_a_version_that_was_ever_activated_is_known(shop: Shop) -> None:
    assert not shop.programmes.knows(SECOND.id)
    shop.programmes.activate(SECOND, None)
    assert shop.programmes.knows(FIRST.id)
    assert shop.programmes.knows(SECOND.id)
