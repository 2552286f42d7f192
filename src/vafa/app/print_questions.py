"""What the control socket is asked about slips on printers, and answers. Types only, as in `questions`."""

from vafa.app.question import Language, Question, Reply, Text


class Print(Question, frozen=True, tag="print"):
    """Print a sale's slip, or its void's or refund's, again; '' prints a sample. `printer` '': the first."""

    sale: Text = ""
    printer: Text = ""
    lang: Language | None = None


class PrintIs(Reply, frozen=True, tag="print"):
    """A slip stands in the queue of `printer`: what `status` says of it tells the rest."""

    number: str
    printer: str
