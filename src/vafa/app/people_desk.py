"""Answers the control socket's questions about members as people: profiles, forgetting, merging."""

from collections.abc import Callable
from typing import Any

import structlog

from vafa.app import people_questions
from vafa.app.joined_people import JoinedPeople
from vafa.app.member_reads import in_words
from vafa.app.members import Members
from vafa.app.moving import Moving
from vafa.app.profiles import Forgotten, Profiles, Telling
from vafa.app.question import Reply
from vafa.app.questions import MemberIs
from vafa.keys.tokens import Tokens
from vafa.model.identity import without_phones
from vafa.model.pan import mask_pans

log = structlog.get_logger()


class PeopleDesk:
    """`handlers`: question -> who answers it, as Control wants them."""

    def __init__(self, members: Members, tokens: Tokens) -> None:
        self._members = members
        self._profiles = Profiles(members)
        self._joined = JoinedPeople(members.ledger, tokens)
        self._moving = Moving(members.ledger)
        self.handlers: dict[type[Any], Callable[[Any, str], Reply]] = {
            people_questions.MemberProfile: self._profile,
            people_questions.MemberForget: self._forget,
            people_questions.MemberMerge: self._merge,
            people_questions.MemberMove: self._move,
        }

    def _profile(self, question: people_questions.MemberProfile, by: str) -> Reply:
        member = self._members.known_id(question.phone)
        telling = Telling(
            None if question.name is None else mask_pans(question.name),
            question.birthday,
            question.consent,
            question.referrer,
            question.feedback,
        )
        return MemberIs(member=in_words(self._profiles.tell(member, telling, by)))

    def _forget(self, question: people_questions.MemberForget, by: str) -> Reply:
        member = self._members.known_id(question.phone)
        why = without_phones(mask_pans(question.why))
        if question.only_show:
            return _forgotten(self._profiles.foreseen(member), done=False)
        done = self._profiles.forget(member, why, by)
        log.info("a person was forgotten", ids=done.ids, by=by)
        return _forgotten(done, done=True)

    def _merge(self, question: people_questions.MemberMerge, by: str) -> Reply:
        why, phone = f"{by}: {without_phones(mask_pans(question.why))}", question.phone
        if question.only_show:
            joined = self._joined.foreseen(phone, question.other)
        elif phone:
            joined = self._joined.merge(phone, question.other, why)
        else:
            joined = self._joined.unmerge(question.other, why)
        return people_questions.JoinedIs(
            member=joined.member.hex(),
            alias=joined.alias.hex(),
            balance=joined.balance,
            debt=joined.debt,
            other_balance=joined.other_balance,
            other_debt=joined.other_debt,
            merged=bool(phone),
            done=not question.only_show,
            seen_before=joined.seen_before,
        )

    def _move(self, question: people_questions.MemberMove, by: str) -> Reply:
        member = self._members.known_id(question.phone)
        why = without_phones(mask_pans(question.why))
        if question.only_show:
            moved = self._moving.foreseen(question.sale, member)
        else:
            moved = self._moving.move(question.sale, member, why, by)
        return people_questions.MovedIs(
            from_member=moved.from_member.hex(),
            to_member=moved.to_member.hex(),
            points_out=moved.points_out,
            points_in=moved.points_in,
            debt=moved.debt,
            done=not question.only_show,
            seen_before=moved.seen_before,
        )


def _forgotten(done_or_not: Forgotten, *, done: bool) -> Reply:
    each = done_or_not
    return people_questions.ForgottenIs(
        ids=each.ids, cards=each.cards, points=each.points, debt=each.debt, done=done
    )
