"""A journal under another programme: no difference for the same, else what a fresh run would give."""

import contextlib
import random
from collections import Counter
from pathlib import Path
from typing import Any

import histories
import pytest
from club_rules import at
from oracle.rules import Rules
from random_rules import random_rules
from rich_shop import OTHER, PHONE, RICH, with_programme
from shop import HASHED, TID, Shop, payment

from vafa.app.moving import Moving
from vafa.app.programmes import example
from vafa.app.undo import Adjustment, Undo, Undoing, Wish
from vafa.app.whatif import WhatIf, what_if
from vafa.club.programme import Programme, parse
from vafa.ledger import reads
from vafa.model import events
from vafa.model.errors import Refused
from vafa.model.pan import CardHint
from vafa.model.payment import PaymentKey, Scheme

DOUBLE = RICH.replace("points = 1\nper = 1_000", "points = 2\nper = 1_000")


def request(number: int) -> PaymentKey:
    return PaymentKey(Scheme.REQUEST, TID, f"r-{number}")


def busy(shop: Shop, seed: int, days: int = 30) -> None:
    """Some weeks: members, unclaimed cards, loose payments, voids, refunds, claims, adjustments."""
    chance = random.Random(seed)  # noqa: S311 - invented sales
    members = [shop.members.known_id(phone) for phone in (PHONE, OTHER)]
    shop.ledger.write(lambda tx: tx.post(events.Profile(members[1], 8 | 2, None, members[0], (2, 9), "test")))
    undo, sold, claims = Undo(shop.counter), [], []
    for number in range(days * 4):
        when = at("1405/02/01", "08:00") + number * 21_600 + chance.randrange(9_000)
        shop.wall_ms = when * 1000
        card = chance.choice([HASHED, CardHint("603799", "1111", b"c" * 32), CardHint("603799", "2222")])
        member = chance.choice([*members, b"", b""])
        amount = chance.choice([5_000, 40_000, 99_999, 250_000, 1_000_000])
        outcome = shop.counter.post(payment(number, amount, paid_at=when, card=card), member)
        sold.append((outcome.key, amount))
        if outcome.claim:
            claims.append(outcome.claim)
        key, paid = chance.choice(sold)
        match chance.randrange(12):
            case 0:
                wish = Wish(Undoing.VOID, key, request(number), None, None, "test")
            case 1 | 2:
                wish = Wish(Undoing.REFUND, key, request(number), chance.randrange(1, paid), None, "test")
            case 3:
                undo.adjust(Adjustment(members[0], chance.choice([-30, 20]), "test", request(number), "test"))
                continue
            case 4 if claims:
                with contextlib.suppress(Refused):  # undone before anybody claimed it
                    shop.members.claim(claims.pop(), members[0], "test")
                continue
            case 5:
                with contextlib.suppress(Refused):  # nobody has it yet
                    Moving(shop.ledger).move(outcome.number, chance.choice(members), "test", "test")
                continue
            case _:
                continue
        try:
            undo.undo(wish)
        except Refused:
            continue  # nothing was left of it


def tried(shop: Shop, programme: Programme) -> WhatIf:
    active = shop.programmes.at(shop.wall_ms // 1000)
    return shop.ledger.read(lambda c: what_if(reads.entries(c), programme, active))


def opened(directory: Path, text: str) -> Shop:
    directory.mkdir(exist_ok=True)
    shop = Shop(directory)
    with_programme(shop, text)
    shop.members.add(PHONE, "", "test")
    shop.members.add(OTHER, "", "test")
    return shop


@pytest.mark.parametrize("text", [RICH, *map(example, ("plain", "cafe", "grocery", "restaurant"))])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_same_programme_gives_no_difference(tmp_path: Path, text: str, seed: int) -> None:
    shop = opened(tmp_path, text)
    try:
        busy(shop, seed)
        found = tried(shop, parse(text))
        assert found.different == ()
        assert (found.points_was, found.outstanding_was) == (found.points_would, found.outstanding_would)
        assert found.payments == 120
    finally:
        shop.ledger.close()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_points_as_they_were_are_those_of_the_books(tmp_path: Path, seed: int) -> None:
    plain = example("plain").replace("per = 10_000", "per = 7")
    shop = opened(tmp_path, plain)
    try:
        busy(shop, seed)
        by_hand = [
            each.event.points
            for each in shop.ledger.read(lambda c: list(reads.entries(c, 0, (events.Kind.ADJUST,))))
            if isinstance(each.event, events.Adjust)
        ]
        sums = shop.ledger.head.till
        found = tried(shop, parse(plain))
        assert found.points_was == sums.member - sums.debt - sum(by_hand)
    finally:
        shop.ledger.close()


@pytest.mark.parametrize(("before", "after"), [(RICH, DOUBLE), (DOUBLE, RICH), (example("plain"), RICH)])
def test_another_programme_gives_what_a_shop_that_had_it_from_the_start_gave(
    tmp_path: Path, before: str, after: str
) -> None:
    """Cards wait here and are claimed: what a claim brings is derived anew too."""
    shops = [opened(tmp_path / name, text) for name, text in (("one", before), ("other", after))]
    try:
        for shop in shops:
            members = [shop.members.known_id(phone) for phone in (PHONE, OTHER)]
            chance = random.Random(4)  # noqa: S311 - invented sales
            for number in range(80):
                when = at("1405/02/01", "08:00") + number * 30_000
                shop.wall_ms = when * 1000
                amount, member = chance.choice([5_000, 40_000, 250_000]), chance.choice([*members, b""])
                card = CardHint("603799", "1111", bytes([chance.randrange(4)]) * 32)
                sold = shop.counter.post(payment(number, amount, paid_at=when, card=card), member)
                key = sold.key
                if sold.claim and chance.random() < 0.4:
                    shop.members.claim(sold.claim, chance.choice(members), "test")
                if chance.random() < 0.2:
                    part = chance.randrange(1, amount)
                    wish = Wish(Undoing.REFUND, key, request(number), part, None, "test")
                    Undo(shop.counter).undo(wish)
        found = tried(shops[0], parse(after))
        truth = tried(shops[1], parse(after))
        assert found.points_would == truth.points_was
        assert found.outstanding_would == truth.outstanding_was
        assert found.points_was != found.points_would
        assert {each.holder for each in found.different} == {
            shops[0].members.known_id(phone).hex() for phone in (PHONE, OTHER)
        }
    finally:
        for shop in shops:
            shop.ledger.close()


@pytest.mark.parametrize("seed", range(4))
def test_random_lives_under_one_programme_give_no_difference(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all that the histories do: merges, moves, holds, claims of cards of several purchases."""

    def one_version(*given: Any) -> tuple[Rules, Rules]:
        rules, _ = random_rules(*given)
        return rules, rules

    monkeypatch.setattr(histories, "random_rules", one_version)
    world = histories.World(tmp_path, seed, Counter(), {})
    try:
        world.run(40)
        found = tried(world.shop, parse(world.rules[0].text()))
        assert found.different == ()
        assert (found.points_was, found.outstanding_was) == (found.points_would, found.outstanding_would)
    finally:
        world.shop.ledger.close()


def test_a_purchase_that_earned_nothing_on_a_card_is_claimed_with_the_others(tmp_path: Path) -> None:
    below = example("plain").replace("minimum = 0", "minimum = 50_000")
    shop = opened(tmp_path, below)
    try:
        shop.counter.post(payment(1, 40_000, card=HASHED))
        code = shop.counter.post(payment(2, 60_000, card=HASHED)).claim
        member = shop.members.known_id(PHONE)
        shop.members.claim(code, member, "test")
        found = tried(shop, parse(example("plain")))
        assert [(each.holder, each.was, each.would) for each in found.different] == [(member.hex(), 6, 10)]
    finally:
        shop.ledger.close()


def test_a_sale_below_the_minimum_earns_where_there_is_none(tmp_path: Path) -> None:
    shop = opened(tmp_path, example("plain").replace("minimum = 0", "minimum = 50_000"))
    try:
        shop.counter.post(payment(1, 40_000), shop.members.known_id(PHONE))
        found = tried(shop, parse(example("plain")))
        assert (found.points_was, found.points_would) == (0, 4)
    finally:
        shop.ledger.close()
