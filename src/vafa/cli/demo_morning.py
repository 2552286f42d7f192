"""The shop's morning, told sale by sale: what customers, cash register, terminal and power do, in order."""

import time
from typing import Any

from vafa.cli.demo_proof import CUT, LOST, Morning, Sale
from vafa.cli.demo_screen import Screen
from vafa.cli.demo_shop import ANSWER_TIMEOUT_S, LOOK, START_S, Answer, Shop
from vafa.cli.demo_words import SAME
from vafa.model.errors import VafaError

QUICK_MS = 200  # a customer of the demo: card and PIN in no time
SLOW_MS = 2_000  # the one at whom the power goes
SARA_PHONE, REZA_PHONE = "09351234567", "09121236789"
SARA_CARD, REZA_CARD, GUEST_CARD, OLD_CARD = 0, 1, 5, 7  # of the pretend terminal's deck
_LOOK_EVERY_S = 0.1


class MorningTold:
    """Tells the morning once; afterwards `heard()` is what the proofs need."""

    def __init__(self, shop: Shop, screen: Screen) -> None:
        self._shop = shop
        self._screen = screen
        self._sales: list[Sale] = []
        self._traces: set[int] = set()
        self._requests = 0
        self._asked: dict[str, str] = {}
        self._unpaid: list[str] = []
        self._repeats: list[tuple[object, object]] = []
        self._killed_in = ""
        self.answers: list[Answer] = []

    def tell(self) -> None:
        """Everything, in order. VafaError when the shop does not do its part."""
        code = self._unknown_customer()
        self._member_joins()
        self._claim(code)
        self._trouble_on_the_line()
        self._not_paid()
        self._two_equal_sales()
        self._old_firmware()
        self._lost_answer()
        self._power_cut()
        self._screen.step("on")
        self._sell("sara", 610_000, SARA_CARD)

    def heard(self, exit_codes: dict[str, int]) -> Morning:
        """What the proofs need of the morning."""
        return Morning(
            tuple(self._sales),
            self._asked,
            tuple(self._repeats),
            tuple(self._unpaid),
            self._killed_in,
            exit_codes,
        )

    @property
    def resolved_number(self) -> str:
        """Our number of the sale that was in flight at the power cut."""
        number: str = self.answers[-2]["paid"]["number"]  # one more sale came after it
        return number

    @property
    def approved(self) -> int:
        """Sales that the terminal's journal has as paid so far."""
        return sum(sale.approved for sale in self._sales)

    # The steps

    def _unknown_customer(self) -> str:
        """Returns the claim code on her paper."""
        self._screen.step("unknown")
        answer = self._sell("sara", 1_285_000, SARA_CARD)
        self._terminals_paper()
        code: str = answer["paid"]["claim"]
        return code

    def _member_joins(self) -> None:
        self._screen.step("joins")
        self._call(op="member", member=REZA_PHONE, name="رضا")
        answer = self._sell("reza", 745_000, REZA_CARD, phone=REZA_PHONE)
        self._our_paper(answer)
        self._screen.step("repeat")
        self._repeat(answer, 745_000, REZA_PHONE)

    def _claim(self, code: str) -> None:
        self._screen.step("claim", code=code)
        self._call(op="member", member=SARA_PHONE, name="سارا")
        exit_code, printed = self._shop.verb("claim", code, SARA_PHONE)
        if exit_code:
            raise VafaError(f"vafa claim: {printed.strip()}", fix="vafa claim --help")
        for line in printed.strip().splitlines():
            self._screen.good(line.strip())
        self._screen.step("known")
        self._our_paper(self._sell("sara", 515_000, SARA_CARD))

    def _trouble_on_the_line(self) -> None:
        self._screen.step("noise")
        self._sell("sara", 368_000, SARA_CARD, faults={"noise": 3, "split": 2})
        self._screen.step("twice")
        self._sell("reza", 980_000, REZA_CARD, phone=REZA_PHONE, faults={"repeat-response": 1})

    def _not_paid(self) -> None:
        for name, ends in (("declined", "decline"), ("cancelled", "cancel")):
            self._screen.step(name)
            answer = self._sell("guest", 2_150_000, GUEST_CARD, ends=ends)
            self._unpaid.append(answer["request"])

    def _two_equal_sales(self) -> None:
        self._screen.step("equal")
        for _ in range(2):
            self._sell("guest", 455_000, GUEST_CARD)

    def _old_firmware(self) -> None:
        self._screen.step("old")
        self._sell("old card", 892_000, OLD_CARD, faults={"full-pan": 1})

    def _lost_answer(self) -> None:
        self._screen.step("lost", seconds=ANSWER_TIMEOUT_S)
        answer = self._sell("sara", 1_633_000, SARA_CARD, faults={"silence-after-request": 1})
        self._asked[LOST] = answer["request"]
        self._our_paper(answer)
        self._repeat(answer, 1_633_000)

    def _power_cut(self) -> None:
        shop, screen = self._shop, self._screen
        shop.await_slips(self.approved)  # what waits in memory for a printer does not outlive a power cut
        screen.step("cut")
        request = self._request(1_944_000, REZA_PHONE)
        self._asked[CUT] = request["request"]
        shop.terminal(do="pay_after", ms=SLOW_MS)
        shop.terminal(do="next", outcome="approve", card=REZA_CARD)
        before = shop.log_bytes
        call = shop.call(**request)
        shop.await_logged("customer pays", before)
        shop.kill_daemon()
        self._killed_in = shop.terminal(do="status")["state"]
        call.close()
        sale = self._paid_alone("reza")
        screen.then("paid_alone", rials=f"{sale.amount:,}", rrn=sale.rrn)
        shop.terminal(do="pay_after", ms=QUICK_MS)
        screen.then("back")
        shop.start_daemon()
        answer = self._settled(request)
        self.answers.append(answer)
        screen.sold(answer, 1_944_000)
        self._our_paper(answer)

    # What the steps are made of

    def _sell(
        self,
        customer: str,
        amount: int,
        card: int,
        *,
        phone: str = "",
        ends: str = "approve",
        faults: dict[str, int] | None = None,
    ) -> Answer:
        """One sale as the cash register asks for it; `faults`: what goes wrong at the terminal, how often."""
        request = self._request(amount, phone)
        for name, times in (faults or {}).items():
            # the terminal counts our requests too: its answer to "which card?" is not the sale's
            sale = self._requests if name == "repeat-response" else 0
            self._shop.terminal(do="fault", name=name, times=times, sale=sale)
        self._shop.terminal(do="next", outcome=ends, card=card)
        answer = self._call(**request)
        never_struck = set(faults or ()) & set(self._shop.terminal(do="status")["faults"])
        if never_struck:
            raise VafaError(f"the terminal's faults {never_struck} never struck")
        self._learn(customer)
        self.answers.append(answer)
        self._screen.sold(answer, amount)
        return answer

    def _request(self, amount: int, phone: str) -> Answer:
        self._requests += 1
        member = {"member": phone} if phone else {}
        return {"op": "sell", "request": f"till-1-{self._requests:04d}", "amount": amount} | member

    def _repeat(self, answer: Answer, amount: int, phone: str = "") -> None:
        """The cash register asks the same again, as one does after a lost answer."""
        member = {"member": phone} if phone else {}
        again = self._call(op="sell", request=answer["request"], amount=amount, **member)
        self._repeats.append((answer, again))
        if again == answer:
            self._screen.good(self._screen.words(SAME))

    def _call(self, **request: Any) -> Answer:
        try:
            answer = self._shop.call(**request).answer(self._screen.tick)
        finally:
            self._screen.clear()
        if answer["answer"] == "failure":
            raise VafaError(answer["message"], fix=answer.get("fix", ""), code=answer["code"])
        return answer

    def _learn(self, customer: str) -> list[Sale]:
        """What the terminal's journal has that it had not before: it keeps its last 13 only."""
        new = []
        for record in self._shop.terminal(do="journal")["journal"]:
            if record["trace"] not in self._traces:
                self._traces.add(record["trace"])
                new.append(Sale(record["rrn"], record["amount"], record["code"] == "00", customer))
        self._sales += new
        return new

    def _paid_alone(self, customer: str) -> Sale:
        """Wait until the terminal has taken the money without us."""
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            new = self._learn(customer)
            if new:
                return new[0]
            time.sleep(_LOOK_EVERY_S)
        raise VafaError("the customer at the terminal never paid", fix=LOOK)

    def _settled(self, request: Answer) -> Answer:
        """Ask again under the same request id until the sale's end is certain, as a cash register does."""
        started = time.monotonic()
        while (elapsed := time.monotonic() - started) < START_S:
            answer = self._call(**request)
            if answer["outcome"] != "unsure":
                return answer
            self._screen.tick(elapsed)
            time.sleep(_LOOK_EVERY_S)
        raise VafaError("the sale at the power cut stays unsure", fix=LOOK)

    # Paper

    def _our_paper(self, answer: Answer) -> None:
        from vafa.simulators.paper import boxed

        self._screen.paper(boxed(answer["paid"]["lines"]))

    def _terminals_paper(self) -> None:
        """The newest slip out of the pretend terminal, with the text that went with the request."""
        from vafa.simulators.paper import framed
        from vafa.simulators.sadad import Slip

        slip = self._shop.terminal(do="slips")["slips"][-1]
        self._screen.paper(framed(Slip(**slip | {"lines": tuple(slip["lines"])})))
