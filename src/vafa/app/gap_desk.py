"""Answers the control socket's questions about gaps, and enters the sales that were missed in them."""

from collections.abc import Callable
from typing import Any

import structlog

from vafa.app import gap_questions
from vafa.app.counter import Counter
from vafa.app.desk import paid_in_words
from vafa.app.gaps import Gaps, Missed
from vafa.app.members import Members
from vafa.app.message import CURRENCIES
from vafa.app.paper import Paper
from vafa.app.question import Reply
from vafa.app.sale_search import last_time_of
from vafa.app.status import Facts, iso
from vafa.app.unsure import settle_unpaid
from vafa.model.errors import Refused
from vafa.model.identity import NO_MEMBER, without_phones
from vafa.model.pan import mask_pans
from vafa.ports.clock import Clock

log = structlog.get_logger()


class GapDesk:
    """`handlers`: question -> who answers it, as Control wants them."""

    def __init__(
        self, counter: Counter, members: Members, paper: Paper, facts: Callable[[], Facts], clock: Clock
    ) -> None:
        self._counter, self._gaps = counter, Gaps(counter)
        self._members = members
        self._paper = paper
        self._facts = facts
        self._clock = clock
        self._zone = counter.zone
        self.handlers: dict[type[Any], Callable[[Any, str], Reply]] = {
            gap_questions.GapList: self._list,
            gap_questions.GapClose: self._close,
            gap_questions.Record: self._record,
            gap_questions.Unpaid: self._unpaid,
        }

    def _list(self, _question: gap_questions.GapList, _by: str) -> Reply:
        return gap_questions.GapsAre(gaps=self._gaps.open())

    def _close(self, question: gap_questions.GapClose, by: str) -> Reply:
        gap = self._gaps.close(question.gap, by, _reason(question.why))
        log.info("gap closed", number=gap.number, by=by)
        return gap_questions.GapIsClosed(gap=gap)

    def _record(self, question: gap_questions.Record, by: str) -> Reply:
        missed = Missed(
            terminal=self._recordable(question.terminal),
            amount=question.amount,
            rrn=question.rrn,
            why=_reason(question.why),
            paid_at=last_time_of(question.at, self._clock.wall_ms(), self._zone) if question.at else None,
            member=NO_MEMBER if question.phone is None else self._members.known_id(question.phone),
            gap=question.gap,
            sale=question.sale,
            currency=CURRENCIES[question.currency],
        )
        outcome = self._gaps.record(missed, by) if question.post else self._gaps.preview(missed, by)
        if question.post:
            log.info("sale recorded", number=outcome.number, by=by, again=outcome.seen_before)
        return gap_questions.RecordIs(
            paid=paid_in_words(outcome, self._paper, question.lang),
            posted=question.post and not outcome.seen_before,
            at="" if outcome.paid_at is None else iso(outcome.paid_at * 1000),
            seen_before=outcome.seen_before,
            disagrees=outcome.disagrees,
        )

    def _unpaid(self, question: gap_questions.Unpaid, by: str) -> Reply:
        asked = settle_unpaid(self._counter.ledger, question.sale, by, _reason(question.why))
        log.info("sale settled unpaid", number=asked.number, by=by)
        return gap_questions.UnpaidIs(number=asked.number, terminal=asked.tid, amount=asked.amount)

    def _recordable(self, terminal: str | None) -> str:
        """A configured terminal whose sales nobody but its own list tells."""
        known = [tid for tid, mode, _ in self._facts().terminals if mode != "local"]
        if terminal is None and len(known) == 1:
            return known[0]
        if terminal not in known:
            names = ", ".join(known) or "none"
            raise Refused(
                f"say on which terminal it was paid (of those Vafa listens to: {names})",
                fix="a payment application tells its own sales again",
                code="ASK-003",
            )
        return terminal


def _reason(why: str) -> str:
    """What a person gave as the reason, fit for the journal."""
    if not why.strip():
        raise Refused("say why: it stays in the journal")
    return without_phones(mask_pans(why.strip()))
