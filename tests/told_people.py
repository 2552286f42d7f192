"""Who somebody is, on both sides: a card of one or several people, two phones of one person, forgetting."""

from told_giving import Gives

from vafa.app.joined_people import JoinedPeople
from vafa.app.moving import Moving
from vafa.app.profiles import Profiles
from vafa.model.errors import NotFound, Refused
from vafa.model.pan import CardHint


class Meets(Gives):
    """`codes`: waiting purchase -> its claim code; `numbers`: purchase -> our short number; `owners`: whose
    the card of this life is, `with_card`: purchases that were paid with it."""

    codes: dict[str, str]
    numbers: dict[str, str]
    owners: list[str]
    with_card: list[str]

    @property
    def card(self) -> CardHint:
        return CardHint("621986", "3864", b"%032d" % self.number)

    def holder_of_card(self) -> str:
        """Whose a purchase with the card is when nobody is named: its one member's, else it waits on it."""
        people = {self.life.acting(each) for each in self.owners}
        if len(people) == 1:
            self.seen["purchases with a family's card of one person"] += len(self.owners) > 1
            return people.pop()
        self.seen["purchases with a family's card that wait"] += len(people) > 1
        return "card"

    def bind(self) -> None:
        """The card of a purchase becomes somebody's, also beside others where they are a family."""
        if not self.with_card:
            return
        named, shared = self.chance.choice(list(self.members)), self.chance.random() < 0.8
        who = self.life.acting(named)
        theirs = who in self.owners
        oracle = self.life.is_known(who) and (theirs or shared or not self.owners)
        sale = self.numbers[self.chance.choice(self.with_card)]
        members = self.world.shop.members
        try:
            members.bind(members.known_id(self.phone(named)), sale, "test", shared=shared)
            ours = True
        except (NotFound, Refused):
            ours = False
        self.same("binding a card", ours, oracle)
        if oracle and not theirs:
            self.owners.append(who)
            self.seen["cards bound, a family's" if len(self.owners) > 1 else "cards bound"] += 1

    def forget(self) -> None:
        """Somebody wants to be forgotten."""
        named = self.chance.choice(list(self.members))
        oracle = self.life.is_known(named)
        try:
            members = self.world.shop.members
            done = Profiles(members).forget(members.known_id(self.phone(named)), "asked", "test")
            ours: tuple[int, ...] = (done.ids, done.cards, done.points, done.debt)
        except NotFound:
            ours = ()
        gone = self.life.forget(named) if oracle else []
        rows = [self.life.ids[each] for each in gone]
        cards = sum(each in self.owners for each in gone)
        said = (len(gone), cards, sum(len(me.points) for me in rows), sum(me.debt for me in rows))
        self.same("forgetting", ours, said if oracle else ())
        self.owners = [each for each in self.owners if each not in gone]
        self.seen["people forgotten"] += oracle
        self.seen["forgotten with points"] += oracle and said[2] > 0
        self.seen["forgotten with a debt"] += oracle and said[3] > 0
        self.seen["forgotten with a card"] += cards > 0
        self.seen["forgotten with two phones"] += len(gone) > 1
        if oracle and self.chance.random() < 0.5:
            self.join_again()

    def join_again(self) -> None:
        """Who was forgotten comes back with a phone of theirs, and tells of themselves anew."""
        gone = [name for name in self.members if self.life.ids[name].forgotten]
        if not gone:
            return
        name = self.chance.choice(gone)
        done = self.world.shop.members.add(self.phone(name), "", "test")
        self.same("joined again", done.created, True)
        self.life.join_again(name)
        self.tell(name)
        self.seen["joined again"] += 1

    def merge(self) -> None:
        if len(self.members) < 2:
            return
        one, other = self.chance.sample(list(self.members), 2)
        shop, top, alias = self.world.shop, self.life.root(one), self.life.root(other)
        oracle = top == alias if self.life.is_known(one) and self.life.is_known(other) else None
        try:
            done = JoinedPeople(shop.ledger, shop.tokens).merge(self.phone(one), self.phone(other), "x")
            ours: bool | None = done.seen_before
        except NotFound:
            ours = None
        self.same("merged before", ours, oracle)
        if oracle is False:
            self.life.answers_as[alias] = top
            self.seen["merges"] += 1

    def unmerge(self) -> None:
        if not self.life.answers_as:
            return
        alias = self.chance.choice(list(self.life.answers_as))
        shop = self.world.shop
        JoinedPeople(shop.ledger, shop.tokens).unmerge(self.phone(alias), "x")
        del self.life.answers_as[alias]
        self.seen["unmerges"] += 1

    def move(self) -> None:
        mine = [n for n, p in self.life.purchases.items() if p.left and p.holder in self.members]
        if not mine:
            return
        name, named = self.chance.choice(mine), self.chance.choice(list(self.members))
        to = self.life.acting(named)
        was = self.life.ids[self.life.purchases[name].holder]
        try:
            moved = Moving(self.world.shop.ledger).move(self.numbers[name], self.members[named], "x", "test")
        except NotFound:
            self.same("moving to somebody", False, self.life.is_known(to))
            return
        if to == self.life.purchases[name].holder:
            self.same("moving to the same member", moved.seen_before, True)
            return
        self.same("points of a move", (moved.points_out, moved.points_in), self.life.move(name, to))
        self.seen["moves"] += 1
        self.seen["moves from who was forgotten"] += was.forgotten

    def claim(self) -> None:
        if not self.codes:
            return
        name, named = self.chance.choice(list(self.codes)), self.chance.choice(list(self.members))
        who, holder = self.life.acting(named), self.life.purchases[name].holder
        names = [n for n in self.codes if self.life.purchases[n].holder == holder] if holder else [name]
        try:
            done = self.world.shop.members.claim(self.codes[name], self.members[named], "test")
        except NotFound:
            self.same("claimed by somebody", False, self.life.is_known(who))
            return
        self.same("claimed", (done.payments, done.points), (len(names), self.life.claim(names, who)))
        self.seen["claims of what a family's card had waiting"] += bool(holder) and len(self.owners) > 1
        if holder and not self.owners:
            self.owners.append(who)
        for each in names:
            del self.codes[each]
        self.seen["claims"] += 1
