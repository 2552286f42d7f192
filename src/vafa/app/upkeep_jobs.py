"""The recurring work of a daemon: upkeep of the ledger, points that lapse, tiers judged anew, offers.

What a job needs once a day is loaded when it runs, not for the hours between.
"""

from vafa.app.attesting import Attestations
from vafa.app.config import Config
from vafa.app.evaluating import Evaluations
from vafa.app.jobs import Jobs, ledger_jobs
from vafa.app.log_keeping import LogKeeper
from vafa.app.offer_rounds import OfferRounds
from vafa.app.settling import settle_points, settle_the_past
from vafa.ledger import upkeep
from vafa.ledger.ledger import Ledger
from vafa.ports.clock import Clock


def start_jobs(config: Config, ledger: Ledger, clock: Clock, keeper: LogKeeper) -> Jobs:
    """All of them, started; what was due while the daemon was down is settled first."""
    path, attestations = ledger.path, Attestations(ledger, config.shop.zone)
    settle_the_past(ledger, attestations)
    evaluations, offers = Evaluations(ledger), OfferRounds(ledger)

    def check_integrity() -> list[str]:
        from vafa.ledger.verify import chain_faults

        return upkeep.check_integrity(path, chain_faults)

    def backup() -> object:
        from vafa.app.scheduled_backup import scheduled_backup

        return scheduled_backup(config, path)

    jobs = Jobs(
        ledger_jobs(
            config.jobs,
            checkpoint=keeper.job,
            check_integrity=check_integrity,
            backup=backup,
            settle=lambda: "; ".join(
                filter(None, (settle_points(ledger, attestations), evaluations.run(), offers.run()))
            ),
        ),
        clock,
    )
    jobs.start()
    return jobs
