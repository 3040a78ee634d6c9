import os

import pytest

from pipeline.cli.console import QuietlyBroken, _trouble
from pipeline.telemetry import SourceCounts
from pipeline.types import SourceState


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


def counts(*states: SourceState) -> list[SourceCounts]:
    return [SourceCounts(state=state) for state in states]


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ([], ""),
        (["live"], ""),
        (["finished", "reading", "live"], ""),
        (["reconnecting"], ", reconnecting"),
        (["auth_error"], ", auth error"),
        (["live", "stalled", "reconnecting", "reconnecting"], ", 2 reconnecting, 1 stalled"),
    ],
)
def test_progress_says_which_sources_should_give_frames_and_do_not(states: list[SourceState], said: str) -> None:
    assert _trouble(counts(*states)) == said
