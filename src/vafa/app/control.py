"""Answers the control socket: support's questions and what people do at the counter without a cash register.

Questions are read on a connection of their own, so that a long one never keeps a sale waiting. Answers and
errors hold no card number: what the journal holds has none, and what a person typed is masked before it is
said back.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import structlog

from vafa.app import print_questions, questions, redeem_messages, redeem_questions
from vafa.app.counter import Counter
from vafa.app.desk import (
    Seller,
    seller_for,
    sold_in_words,
    undone_in_words,
)
from vafa.app.gap_desk import GapDesk
from vafa.app.known_words import masked_name
from vafa.app.live import Live, SaleTimes
from vafa.app.member_reads import in_words
from vafa.app.members import Members
from vafa.app.message import CURRENCIES
from vafa.app.offer_desk import OfferDesk
from vafa.app.paper import Paper
from vafa.app.people_desk import PeopleDesk
from vafa.app.programmes import Programmes, versions
from vafa.app.redeem_desk import RedeemDesk
from vafa.app.sale_search import find, paid_or_several, several
from vafa.app.status import Facts, status
from vafa.app.undo import Adjustment, Undo, Undoing, Undone, Wish
from vafa.club.programme import parse
from vafa.ledger import reads
from vafa.ledger.ledger import Ledger
from vafa.ledger.storage import connect_reader
from vafa.model.errors import LedgerDamaged, LedgerError, NotFound, Refused, VafaError
from vafa.model.identity import MEMBER_ID_BYTES, NO_MEMBER, ascii_digits, phone_e164, without_phones
from vafa.model.pan import mask_pans
from vafa.model.payment import PaymentKey, Scheme
from vafa.ports.clock import Clock
from vafa.receipt.page import Page
from vafa.receipt.slip import sample

Handler = Callable[[Any, str], questions.Reply]  # a question and who asks

log = structlog.get_logger()


class Control:
    """`answer(line)` never raises for what a line holds or the world does; one serves every connection.

    live   what the daemon knows now; `times` its ring, journal row -> when a sale was heard and written
    facts  what the configuration says, looked at anew for each status (the newest backup is a fact)
    also   who answers the questions about the hub
    """

    def __init__(
        self,
        ledger: Ledger,
        counter: Counter,
        members: Members,
        paper: Paper,
        programmes: Programmes,
        sellers: Mapping[str, Seller],
        live: Callable[[], Live],
        times: Mapping[int, SaleTimes],
        facts: Callable[[], Facts],
        clock: Clock,
        print_on: Callable[[str, str, Page], str],
        also: Mapping[type[Any], Handler] = {},
    ) -> None:
        """`print_on`: Printers.print_on."""
        self._print_on = print_on
        self._ledger = ledger
        self._counter = counter
        self._members = members
        self._undo = Undo(counter)
        self._paper = paper
        self._programmes = programmes
        self._sellers = sellers
        self._live = live
        self._times = times
        self._facts = facts
        self._clock = clock
        self._zone = counter.zone
        self._decoder = msgspec.json.Decoder(questions.AnyQuestion)
        self._handlers: dict[type[Any], Handler] = {
            questions.GetStatus: self._status,
            questions.Why: self._why,
            questions.Explain: self._explain,
            questions.Receipt: self._receipt,
            print_questions.Print: self._print,
            questions.Journal: self._journal,
            questions.MemberAdd: self._member_add,
            questions.MemberShow: self._member_show,
            questions.MemberFind: self._member_find,
            questions.MemberBind: self._member_bind,
            questions.Claim: self._claim,
            questions.Sell: self._sell,
            questions.Undo: self._undo_sale,
            questions.Adjust: self._adjust,
            questions.ProgrammeShow: self._programme_show,
            questions.ProgrammeActivate: self._programme_activate,
            redeem_questions.Redeem: self._redeem,
            **PeopleDesk(members, counter.tokens).handlers,
            **OfferDesk(counter, members, clock).handlers,
            **GapDesk(counter, members, paper, facts, clock).handlers,
            **also,
        }

    def answer(self, line: bytes, by: str = "support") -> bytes:
        """One request line to one answer line, both without the newline. `by`: who asks, for the journal."""
        try:
            question = self._decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return questions.encode(_not_understood(error))
        try:
            return questions.encode(self._handlers[type(question)](question, by))
        except VafaError as error:
            return questions.encode(failure(error))

    @staticmethod
    def refusal(code: str, message: str) -> bytes:
        """What the line server itself refuses (a line too long, too many clients), in these words."""
        return questions.encode(questions.Failure(code=code, message=message))

    def _status(self, _question: questions.GetStatus, _by: str) -> questions.Reply:
        live, facts, now_ms = self._live(), self._facts(), self._clock.wall_ms()
        try:
            with self._reading() as connection:
                return questions.StatusIs(status=status(connection, live, facts, now_ms))
        except LedgerError as error:
            return questions.StatusIs(status=status(None, live, facts, now_ms, error))

    def _why(self, question: questions.Why, _by: str) -> questions.Reply:
        from vafa.app import support  # only who asks pays for what recomputes a sale

        with self._reading() as connection:
            return support.why(connection, question.sale, self._zone, self._clock.wall_ms(), self._times)

    def _explain(self, question: questions.Explain, _by: str) -> questions.Reply:
        from vafa.app import support  # only who asks pays for what recomputes a sale

        with self._reading() as connection:
            return support.explain(
                connection, question.sale, question.lang, self._zone, self._clock.wall_ms()
            )

    def _receipt(self, question: questions.Receipt, _by: str) -> questions.Reply:
        from vafa.app import support  # only who asks pays for what recomputes a sale

        with self._reading() as connection:
            return support.receipt(
                connection, question.sale, question.lang, self._paper, self._zone, self._clock.wall_ms()
            )

    def _print(self, question: print_questions.Print, _by: str) -> questions.Reply:
        now_ms = self._clock.wall_ms()
        slip, number = sample(now_ms // 1000), "sample"
        if question.sale:
            from vafa.app import support

            with self._reading() as connection:
                found = support.slip(connection, question.sale, self._paper, self._zone, now_ms)
            if isinstance(found, questions.Several):
                return found
            number, slip = found
        if not slip.lines:
            raise NotFound(f"nothing was printed for {number}: no points moved", fix=f"vafa why {number}")
        page = self._paper.page(slip, question.lang)
        return print_questions.PrintIs(number=number, printer=self._print_on(question.printer, number, page))

    def _journal(self, question: questions.Journal, _by: str) -> questions.Reply:
        from vafa.app import journal_page

        with self._reading() as connection:
            return journal_page.page(connection, question.after, question.kinds, question.limit)

    def _member_add(self, question: questions.MemberAdd, by: str) -> questions.Reply:
        view = self._members.add(question.phone, mask_pans(question.name), by)
        return questions.MemberIs(member=in_words(view), created=view.created)

    def _member_show(self, question: questions.MemberShow, _by: str) -> questions.Reply:
        view = self._members.show(self._member_id(question.who))
        return questions.MemberIs(member=in_words(view))

    def _member_find(self, question: questions.MemberFind, _by: str) -> questions.Reply:
        found = (in_words(view) for view in self._members.find(question.text))
        return questions.MembersAre(members=tuple(with_masked_name(member) for member in found))

    def _member_bind(self, question: questions.MemberBind, by: str) -> questions.Reply:
        member = self._members.known_id(question.phone)
        with self._reading() as connection:
            sales = find(connection, question.sale, self._zone, self._clock.wall_ms())
        if len(sales) > 1:
            return several(sales)
        view = self._members.bind(member, sales[0].number, by, shared=question.shared)
        return questions.MemberIs(member=with_masked_name(in_words(view)))

    def _claim(self, question: questions.Claim, by: str) -> questions.Reply:
        claimed = self._members.claim(question.code, self._members.known_id(question.phone), by)
        return questions.ClaimIs(
            member=with_masked_name(in_words(claimed.member)),
            payments=claimed.payments,
            points=claimed.points,
            seen_before=claimed.seen_before,
        )

    def _sell(self, question: questions.Sell, _by: str) -> questions.Reply:
        member, note = self._customer(question.phone)
        seller = seller_for(self._sellers, question.terminal)
        end = seller.sell(question.request, question.amount, member, CURRENCIES[question.currency])
        request = self._counter.tokens.without_pans(question.request)
        return questions.SoldIs(sold=sold_in_words(end, request, self._paper, question.lang), note=note)

    def _undo_sale(self, question: questions.Undo, by: str) -> questions.Reply:
        with self._reading() as connection:
            sale = paid_or_several(connection, question.sale, self._zone, self._clock.wall_ms())
        if not isinstance(sale, PaymentKey):
            return sale
        ref = self._request(sale.tid, question.request)
        wish = Wish(
            Undoing(question.kind), sale, ref, question.amount, None, by, CURRENCIES[question.currency]
        )
        act = self._undo.foreseen if question.only_show else self._undo.undo
        return self._undone_is(act(wish), ref, sale, question.lang)

    def _redeem(self, question: redeem_questions.Redeem, by: str) -> questions.Reply:
        """As the local protocol does it; a capture's sale is named as support names sales.

        The command line speaks English, and shows the slip as the shop's paper has it.
        """
        ask, sale = question.ask, PaymentKey(Scheme.REQUEST, "", "")
        if question.sale and isinstance(ask, redeem_messages.Capture):
            with self._reading() as connection:
                found = paid_or_several(connection, question.sale, self._zone, self._clock.wall_ms())
            if not isinstance(found, PaymentKey):
                return found
            sale = found
            ask = msgspec.structs.replace(ask, terminal=sale.tid, ref=sale.ref)
        desk = RedeemDesk(
            self._counter, self._members, self._paper, lambda *_: sale, lambda _: None, names_in="en"
        )
        return redeem_questions.RedeemIs(told=desk.handlers[type(ask)](ask, by))

    def _adjust(self, question: questions.Adjust, by: str) -> questions.Reply:
        member = self._members.known_id(question.phone)
        ref = self._request("", question.request)
        why = without_phones(mask_pans(question.why))
        act = self._undo.foreseen_adjustment if question.only_show else self._undo.adjust
        undone = act(Adjustment(member, question.points, why, ref, by))
        return self._undone_is(undone, ref, None, None)

    def _request(self, terminal: str, name: str) -> PaymentKey:
        return PaymentKey(Scheme.REQUEST, terminal, self._counter.tokens.without_pans(name))

    def _undone_is(
        self, undone: Undone, ref: PaymentKey, sale: PaymentKey | None, lang: str | None
    ) -> questions.Reply:
        row = self._ledger.read(lambda connection: reads.payment(connection, sale)) if sale else None
        done = bool(undone.number)
        left = row.amount - row.refunded - (0 if done else undone.amount) if row else 0
        return questions.UndoneIs(
            undone=undone_in_words(undone, ref.ref, self._paper, lang),
            done=done,
            seen_before=undone.seen_before,
            left=left,
            member=undone.holder.hex() if len(undone.holder) == MEMBER_ID_BYTES else "",
        )

    def _customer(self, phone: str | None) -> tuple[bytes, str]:
        """The member of a phone and what the cashier should know: a loyalty failure never stops a payment."""
        if phone is None:
            return NO_MEMBER, ""
        try:
            return self._members.known_id(phone), ""
        except (NotFound, Refused) as error:
            log.warning("customer not known", reason=str(error))
            return NO_MEMBER, f"{error}; the points go by the card"

    def _programme_show(self, _question: questions.ProgrammeShow, _by: str) -> questions.Reply:
        with self._reading() as connection:
            held = versions(connection, self._clock.wall_ms() // 1000)
        return questions.ProgrammesAre(versions=held)

    def _programme_activate(self, question: questions.ProgrammeActivate, by: str) -> questions.Reply:
        programme = parse(question.document, "the programme")
        changed = self._programmes.activate(programme, question.from_at)
        log.info("programme", id=programme.id.hex(), changed=changed, by=by)
        with self._reading() as connection:
            held = versions(connection, self._clock.wall_ms() // 1000)
        return questions.ProgrammesAre(versions=held, changed=changed)

    def _member_id(self, who: str) -> bytes:
        if phone_e164(who):
            return self._members.known_id(who)
        try:
            return bytes.fromhex(ascii_digits(who).strip())
        except ValueError:
            raise Refused("give a phone or a member id", fix="vafa member find LAST-FOUR-DIGITS") from None

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with explained():
            connection = connect_reader(self._ledger.path)
            try:
                yield connection
            finally:
                connection.close()


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """What SQLite or a row that cannot be read says, as the error tree's word for it."""
    try:
        yield
    except sqlite3.Error as error:
        raise LedgerError(
            f"the ledger cannot be read ({error})", fix="check the disk; then: vafa verify"
        ) from error
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise LedgerDamaged(f"a journal row cannot be read ({error})", fix="vafa verify") from error


def with_masked_name(member: questions.Member) -> questions.Member:
    """The member where their name was not what was asked for: its first letters only."""
    return msgspec.structs.replace(member, name=masked_name(member.name))


def failure(error: VafaError) -> questions.Failure:
    """An error of the tree as an answer."""
    return questions.Failure(code=error.code, message=mask_pans(str(error)), fix=mask_pans(error.fix))


def _not_understood(error: Exception) -> questions.Failure:
    """A line that is no request: says where it fails, never what it held."""
    place = str(error).rpartition(" - at ")[2] if " - at " in str(error) else "the line"
    return questions.Failure(
        code="ASK-004",
        message=f"not a question of this daemon: {mask_pans(place)}",
        fix="are command and daemon of the same version? systemctl restart vafa",
    )
