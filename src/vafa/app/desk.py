"""Answers the local protocol: decodes a line, asks the counter, the members or a lane, words the answer.

One Desk serves every connection. What it echoes has card numbers replaced by tokens first, and a message that
does not fit the protocol is refused without quoting it.
"""

import functools
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
import structlog

from vafa import __version__
from vafa.app import messages
from vafa.app.counter import Counter
from vafa.app.known_words import known, masked_name
from vafa.app.member_view import MemberView
from vafa.app.members import Members
from vafa.app.message import CURRENCIES, RIALS
from vafa.app.outcome import Outcome
from vafa.app.paper import Paper
from vafa.app.profiles import Profiles, Telling
from vafa.app.redeem_desk import RedeemDesk
from vafa.app.selling import SaleEnd
from vafa.app.told_again import ToldAgain
from vafa.app.undo import Undo, Undoing, Undone, Wish
from vafa.model.errors import NotFound, Refused, VafaError
from vafa.model.events import Less
from vafa.model.identity import NO_MEMBER
from vafa.model.money import Currency
from vafa.model.pan import CardHint, card_hint, mask_pans
from vafa.model.payment import Payment, PaymentKey, Scheme, Source
from vafa.ports.clock import Clock

IDENTIFIED_S = 300
IDENTIFIED_MAX = 1_000
_REFUSALS = {"SRV-001": "ASK-005", "SRV-002": "ASK-006"}  # what the line server calls them
_PLACE = re.compile(r" - at `(\$[.\w\[\]…]*)`$")  # our own field names; what the line held is not repeated
_FIELD = re.compile(r"Object (missing|contains).* field `([a-z_]{1,24})`")  # a word that is no number

log = structlog.get_logger()


class Ticket(msgspec.Struct):
    """An identified customer, good for the one payment or sale that uses it first (and its repetitions)."""

    member: bytes
    until: float
    used_for: str = ""


class Seller(Protocol):
    """A lane that can ask its terminal for a payment."""

    def sell(self, request: str, amount: int, member: bytes, currency: Currency) -> SaleEnd:
        """Blocks until the sale has an end, which may be UNSURE. Raises the error tree."""
        ...


class Desk:
    """`answer(line)` never raises; a request the world fails gets a Failure, our own bug an internal one."""

    def __init__(
        self,
        counter: Counter,
        members: Members,
        paper: Paper,
        clock: Clock,
        local_scheme: Scheme,
        terminals: tuple[str, ...],
        sellers: Mapping[str, Seller],
        told_again: ToldAgain,
    ) -> None:
        self._counter = counter
        self._members = members
        self._undo = Undo(counter)
        self._profiles = Profiles(members)
        self._paper = paper
        self._clock = clock
        self._local_scheme = local_scheme
        self._terminals = terminals
        self._sellers = sellers
        self._told_again = told_again
        self._identified: dict[str, Ticket] = {}
        self._identified_lock = threading.Lock()
        self._decoder = msgspec.json.Decoder(messages.AnyRequest)
        self._handlers: dict[type[Any], Callable[[Any], messages.Answer]] = {
            messages.Hello: self._hello,
            messages.Ping: self._ping,
            messages.Payment: self._payment,
            messages.Sell: self._sell,
            messages.Void: self._void,
            messages.Refund: self._refund,
            messages.Identify: self._identify,
            messages.Member: self._member,
            messages.Balance: self._balance,
            messages.Profile: self._profile,
        }
        redeem = RedeemDesk(counter, members, paper, self._sale_key, self._ticket_of)
        for asked, answers in redeem.handlers.items():
            self._handlers[asked] = functools.partial(_by_the_protocol, answers)

    def answer(self, line: bytes) -> bytes:
        """One request line to one answer line, both without the newline."""
        try:
            request = self._decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return msgspec.json.encode(not_understood(error))
        try:
            answer = self._handlers[type(request)](request)
        except VafaError as error:
            answer = failure(error)
        if request.id is not msgspec.UNSET:
            answer = msgspec.structs.replace(answer, id=self._echoed(request.id))
        return msgspec.json.encode(answer)

    def _echoed(self, name: str | int) -> str | int:
        """The sender's id as it came, unless it holds a card number, as text or as a number."""
        clean = self._counter.tokens.without_pans(str(name))
        return name if clean == str(name) else clean

    def _hello(self, request: messages.Hello) -> messages.Answer:
        log.info("client", client=mask_pans(request.client))
        return messages.Welcome(
            protocol=messages.PROTOCOL,
            vafa=__version__,
            shop=self._paper.shop,
            terminals=self._terminals,
            sells=tuple(self._sellers),
        )

    def _ping(self, _request: messages.Ping) -> messages.Answer:
        return messages.Pong(time=self._clock.wall_ms() // 1000)

    def _payment(self, request: messages.Payment) -> messages.Answer:
        if request.terminal not in self._terminals:
            raise _not_configured()
        payment = self._payment_of(request)
        outcome = self._counter.seen(payment)
        if outcome is None:
            outcome = self._counter.post(payment, self._who(request, payment.key.ref))
        if outcome.disagrees:
            log.warning("evidence disagrees", number=outcome.number, fields=outcome.disagrees)
            self._told_again.otherwise(outcome)
        return paid_in_words(outcome, self._paper, request.lang)

    def _payment_of(self, request: messages.Payment) -> Payment:
        without_pans = self._counter.tokens.without_pans
        reference = request.rrn if self._local_scheme is Scheme.RRN else request.ref
        if not reference:
            raise Refused(
                "a payment without its RRN is no payment here", fix='send rrn, or set key = "sender"'
            )
        return Payment(
            key=PaymentKey(self._local_scheme, request.terminal, without_pans(reference)),
            amount=request.amount,
            source=Source.LOCAL,
            paid_at=request.paid_at,
            trace=without_pans(request.trace),
            card=_hint(request.card),
            order_id=request.order_id,
            less=_less(request.parts),
            currency=CURRENCIES[request.currency],
        )

    def _sell(self, request: messages.Sell) -> messages.Answer:
        seller = seller_for(self._sellers, request.terminal)
        member = self._who(request, request.request)
        end = seller.sell(request.request, request.amount, member, CURRENCIES[request.currency])
        name = self._counter.tokens.without_pans(request.request)
        return sold_in_words(end, name, self._paper, request.lang)

    def _void(self, request: messages.Void) -> messages.Answer:
        return self._undone(request, Undoing.VOID, None)

    def _refund(self, request: messages.Refund) -> messages.Answer:
        return self._undone(request, Undoing.REFUND, request.amount)

    def _undone(
        self, request: messages.Void | messages.Refund, kind: Undoing, amount: int | None
    ) -> messages.Answer:
        sale = self._sale_key(request.terminal, request.ref)
        name = self._counter.tokens.without_pans(request.request)
        ref = PaymentKey(Scheme.REQUEST, request.terminal, name)
        told = request.currency if isinstance(request, messages.Refund) else "rial"
        wish = Wish(kind, sale, ref, amount, request.at, "local protocol", CURRENCIES[told])
        undone = self._undo.undo(wish)
        return undone_in_words(undone, name, self._paper, request.lang)

    def _sale_key(self, terminal: str, reference: str) -> PaymentKey:
        """The payment that `paid` called so."""
        if terminal in self._sellers:
            scheme = Scheme.RRN
        elif terminal in self._terminals:
            scheme = self._local_scheme
        else:
            raise _not_configured()
        return PaymentKey(scheme, terminal, self._counter.tokens.without_pans(reference))

    def _identify(self, request: messages.Identify) -> messages.Answer:
        if (request.member is None) == (request.card is None):
            raise Refused("identify a customer by phone or by card", fix="send member, or card")
        if request.member is not None:
            view = self._members.show(self._members.id_of(request.member), request.member)
            return self._identified_as(view)
        assert request.card is not None
        views = self._members.of_card(_hint(request.card))
        if len(views) == 1:
            return self._identified_as(views[0])
        return messages.Candidates(
            candidates=tuple(
                messages.Candidate(
                    phone=view.phone, name=masked_name(view.name), identified=self._ticket(view)
                )
                for view in views
            ),
            valid_s=IDENTIFIED_S,
        )

    def _identified_as(self, view: MemberView) -> messages.Answer:
        return msgspec.structs.replace(self._known(view), identified=self._ticket(view), valid_s=IDENTIFIED_S)

    def _known(self, view: MemberView) -> messages.Known:
        return known(view, self._clock.wall_ms() // 1000)

    def _ticket(self, view: MemberView) -> str:
        """A ticket for this member, good for one payment."""
        ticket = secrets.token_hex(8)
        with self._identified_lock:
            now = self._clock.monotonic()
            self._identified = {k: v for k, v in self._identified.items() if v.until > now}
            if len(self._identified) >= IDENTIFIED_MAX:
                raise Refused("too many customers are identified and not served", fix="wait five minutes")
            self._identified[ticket] = Ticket(bytes.fromhex(view.id), now + IDENTIFIED_S)
        return ticket

    def _ticket_of(self, identified: str) -> bytes | None:
        """Whom a ticket names: a redemption is looked at before the payment that uses the ticket up."""
        with self._identified_lock:
            ticket = self._identified.get(identified)
            return ticket.member if ticket and ticket.until > self._clock.monotonic() else None

    def _member(self, request: messages.Member) -> messages.Answer:
        return self._known(self._members.add(request.member, mask_pans(request.name), by="local protocol"))

    def _balance(self, request: messages.Balance) -> messages.Answer:
        return self._known(self._members.show(self._members.id_of(request.member), request.member))

    def _profile(self, request: messages.Profile) -> messages.Answer:
        name = None if request.name is None else mask_pans(request.name)
        telling = Telling(name, request.birthday, request.consent, request.referrer, request.feedback)
        member = self._members.known_id(request.member)
        return self._known(self._profiles.tell(member, telling, by="local protocol"))

    def _who(self, request: messages.Payment | messages.Sell, used_for: str) -> bytes:
        """The member a request names; b'' when it names nobody we know.

        A loyalty failure never stops a payment: an unknown phone or a stale ticket means that the card
        decides, and that the points wait for a claim where it cannot.
        """
        if request.identified is not None:
            with self._identified_lock:
                ticket = self._identified.get(request.identified)
                if ticket and ticket.until > self._clock.monotonic() and ticket.used_for in ("", used_for):
                    ticket.used_for = used_for
                    return ticket.member
            log.warning("identification is used or too old", op=type(request).__name__)
        elif request.member is not None:
            try:
                return self._members.known_id(request.member)
            except (NotFound, Refused) as error:
                log.warning("customer not known", reason=str(error))
        return NO_MEMBER


def _by_the_protocol(answers: Callable[[Any, str], messages.Answer], asked: Any) -> messages.Answer:
    return answers(asked, "local protocol")


def seller_for(sellers: Mapping[str, Seller], terminal: str | None) -> Seller:
    """The lane of `terminal`, or the only one there is. Refused when that leaves a choice or nothing."""
    tid = terminal or (next(iter(sellers)) if len(sellers) == 1 else "")
    seller = sellers.get(tid)
    if seller is None:
        known = ", ".join(sellers) or "none"
        if terminal:
            raise Refused(
                f"terminal {terminal} is not asked for payments here (mode ecr: {known})",
                fix="key the sale at the terminal, or name another",
                code="ASK-003",
            )
        raise Refused(f"say which terminal is to be asked (mode ecr: {known})", code="ASK-003")
    return seller


def sold_in_words(end: SaleEnd, request: str, paper: Paper, lang: str | None) -> messages.Sold:
    """How a sale ended in the protocol's words; `request` without card numbers."""
    return messages.Sold(
        request=request,
        outcome=end.outcome.name.lower(),
        number=end.number,
        response=end.response,
        text=end.text,
        paid=paid_in_words(end.paid, paper, lang) if end.paid else None,
    )


def undone_in_words(undone: Undone, request: str, paper: Paper, lang: str | None) -> messages.Undone:
    """What a void, refund or adjustment did in the protocol's words; `request` without card numbers."""
    return messages.Undone(
        kind=undone.kind,
        number=undone.number,
        check=undone.check,
        amount=undone.amount,
        points=undone.points,
        lines=paper.undone_lines(undone, lang) if undone.number else (),
        request=request,
        sale=undone.sale,
        debt=undone.debt,
        balance=undone.balance,
        returned=undone.returned,
        forgiven=undone.forgiven,
        currency=RIALS[undone.currency],
    )


def paid_in_words(outcome: Outcome, paper: Paper, lang: str | None) -> messages.Paid:
    """An outcome in the protocol's words, with the receipt's lines."""
    return messages.Paid(
        result=outcome.result,
        number=outcome.number,
        check=outcome.check,
        amount=outcome.amount,
        points=outcome.points,
        lines=paper.lines(outcome, lang),
        terminal=outcome.key.tid,
        ref=outcome.key.ref,
        claim=outcome.claim,
        why=outcome.why,
        balance=outcome.balance,
        currency=RIALS[Currency(outcome.currency)],
    )


def failure(error: VafaError) -> messages.Failure:
    """An error of the tree as an answer."""
    return messages.Failure(code=error.code, message=mask_pans(str(error)), fix=error.fix)


def refusal(code: str, message: str) -> bytes:
    """What the socket itself refuses, in the protocol's words; `code` is the line server's."""
    return msgspec.json.encode(messages.Failure(code=_REFUSALS.get(code, VafaError.code), message=message))


def not_understood(error: Exception) -> messages.Failure:
    """A line that is no request: says where it fails and which field, never what it held."""
    place, field = _PLACE.search(str(error)), _FIELD.match(str(error))
    what = place.group(1) if place else "the line"
    if field:
        what += (
            f" lacks {field.group(2)}" if field.group(1) == "missing" else f" has no field {field.group(2)}"
        )
    return messages.Failure(
        code="ASK-004",
        message=f"not a request of this protocol: {what}",
        fix="see docs/local-protocol.md",
    )


def _not_configured() -> Refused:
    return Refused(
        "no terminal of mode local has this id",
        fix='config.toml: [[terminal]] with mode = "local"; restart vafa',
    )


def _less(parts: messages.Parts) -> tuple[tuple[int, int], ...]:
    """The parts of a payment that somebody told, as awards keep them."""
    told = (
        (Less.CASHBACK, parts.cashback),
        (Less.TIP, parts.tip),
        (Less.DELIVERY, parts.delivery),
        (Less.VAT, parts.vat),
        (Less.POINTS, parts.points),
    )
    return tuple((int(part), amount) for part, amount in told if amount)


def _hint(card: messages.Card) -> CardHint:
    return card_hint(card.mask, bytes.fromhex(card.sha256))
