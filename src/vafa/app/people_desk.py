"""Answers the control socket's questions about members as people: profiles, forgetting."""

from collections.abc import Callable
from typing import Any

import structlog

from vafa.app import people_questions
from vafa.app.member_reads import in_words
from vafa.app.members import Members
from vafa.app.profiles import Forgotten, Profiles, Telling
from vafa.app.question import Reply
from vafa.app.questions import MemberIs
from vafa.model.identity import without_phones
from vafa.model.pan import mask_pans

log = structlog.get_logger()


class PeopleDesk:
    """`handlers`: question -> who answers it, as Control wants them."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._profiles = Profiles(members)
        self.handlers: dict[type[Any], Callable[[Any, str], Reply]] = {
            people_questions.MemberProfile: self._profile,
            people_questions.MemberForget: self._forget,
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


def _forgotten(done_or_not: Forgotten, *, done: bool) -> Reply:
    each = done_or_not
    return people_questions.ForgottenIs(
        ids=each.ids, cards=each.cards, points=each.points, debt=each.debt, done=done
    )
