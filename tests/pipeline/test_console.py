import os

import pytest

from pipeline.cli.console import QuietlyBroken


def test_a_reader_who_leaves_does_not_end_the_run() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        console = QuietlyBroken(file=pipe)
        os.close(reading)
        console.print("nobody reads this")
        console.print("nor this")
        assert console.quiet


@pytest.mark.parametrize("text", ["", "[bold]", "a" * 500], ids=["empty", "markup", "long"])
def test_a_reader_who_stays_gets_every_word(text: str) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading) as reader:
        with os.fdopen(writing, "w") as pipe:
            QuietlyBroken(file=pipe, width=80).print(text, markup=False, soft_wrap=True)
        assert reader.read() == text + "\n"
