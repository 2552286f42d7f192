"""Modules kept out, each time in a process of its own: it is about what a process has loaded."""

import subprocess
import sys


def _said(program: str) -> str:
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert ran.stderr == ""
    return ran.stdout.strip()


def test_the_scheduler_loads_neither_mail_nor_archives_nor_pools_of_processes() -> None:
    program = """
import sys
import vafa.app.jobs, vafa.app.upkeep_jobs
unwanted = {"importlib.metadata", "email", "zipfile", "concurrent.futures.process", "tempfile"}
print(sorted(unwanted & set(sys.modules)))
"""
    assert _said(program) == "[]"


def test_who_imports_what_was_kept_out_gets_the_real_one() -> None:
    program = """
import vafa.app.jobs
import concurrent.futures.process
from importlib.metadata import version
print(version("msgspec").count("."), concurrent.futures.ProcessPoolExecutor.__module__)
"""
    assert _said(program) == "2 concurrent.futures.process"


def test_an_unexpected_question_is_answered_by_the_real_module() -> None:
    program = """
import sys
from vafa.app.stand_ins import kept_out
with kept_out("colorsys", one=1):
    import colorsys
    print(colorsys.one, colorsys.rgb_to_hsv(0, 0, 0), sys.modules["colorsys"] is colorsys)
import colorsys as real
print(hasattr(real, "one"), real is colorsys)
"""
    assert _said(program).splitlines() == ["1 (0.0, 0.0, 0) False", "False False"]


def test_a_module_that_is_loaded_already_stays() -> None:
    program = """
import colorsys, sys
from vafa.app.stand_ins import kept_out
with kept_out("colorsys", one=1):
    print(sys.modules["colorsys"] is colorsys)
print(sys.modules["colorsys"] is colorsys)
"""
    assert _said(program).splitlines() == ["True", "True"]
