"""Fuzzes one target guided by what its inputs reach in the code: `scripts/fuzz --guided TARGET [MORE]`.

Atheris (libFuzzer) watches which branches an input takes and breeds those that take new ones. What it keeps
lies in build/corpus/TARGET and is gone on with the next time. MORE is libFuzzer's own: -max_total_time=60,
-runs=100000, -help=1. An input that finds something is left as build/fuzz/TARGET-crash-...
"""

import sys
from pathlib import Path
from random import Random
from typing import Any

import structlog

CORPUS, FOUND = Path("build/corpus"), Path("build/fuzz")
_SEALED = 0x80  # an input's first byte says whether it is made good again first


def main() -> None:
    """Does not come back: libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["vafa"]):
        from fuzz.all_targets import TARGETS
        from fuzz.run import logged
    known = {each.name: each for each in TARGETS}
    name = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    if name not in known:
        sys.exit(f"which target? one of {', '.join(known)}")
    structlog.configure(processors=[logged])
    target = known[name]()

    def one_input(data: bytes) -> None:
        plain, random = data[1:], Random(data)  # noqa: S311 - what an input does depends on it alone
        target.judge(target.sealed(plain, random) if data[:1] >= bytes([_SEALED]) else plain, random)

    options: list[Any] = [word for word in sys.argv[1:] if word.startswith("-")]
    atheris.Setup(["fuzz", *options, *_prepared(name, target.seeds, target.words)], one_input)
    atheris.Fuzz()


def _prepared(name: str, seeds: Any, words: Any) -> list[str]:
    """libFuzzer's own arguments: corpus, dictionary, where findings go."""
    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    FOUND.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        for first in (0, _SEALED):
            (corpus / f"seed-{number}-{first}").write_bytes(bytes([first]) + seed)
    dictionary = CORPUS / f"{name}.dict"
    lines = ('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"' for word in words if 0 < len(word) <= 60)
    dictionary.write_text("\n".join(lines) + "\n", encoding="ascii")
    return [f"-dict={dictionary}", f"-artifact_prefix={FOUND / name}-", "-max_len=4096", str(corpus)]


if __name__ == "__main__":
    main()
