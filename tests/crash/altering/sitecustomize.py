"""Python runs this before anything else where PYTHONPATH leads here: in `vafa` and each process it begins."""

import os

from crash.altered import ALTERATIONS

for how in os.environ["VAFA_ALTERED"].split(","):
    ALTERATIONS[how]()
