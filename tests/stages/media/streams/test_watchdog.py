import threading

from stages.media.streams.watchdog import Watchdog


def test_a_call_that_takes_too_long_is_bitten_once() -> None:
    bitten = threading.Event()
    dog = Watchdog(0.02, bitten.set, "dog")
    with dog.watching():
        assert bitten.wait(5)
        assert dog.is_overdue
    assert dog.has_bitten
    dog.stop()
    dog.stop()


def test_what_lies_between_calls_is_not_watched() -> None:
    bitten = threading.Event()
    dog = Watchdog(0.02, bitten.set, "dog")
    with dog.watching():
        pass
    assert not bitten.wait(0.1)
    assert not dog.is_overdue
    dog.stop()


def test_after_stop_nobody_is_bitten_and_no_thread_is_left() -> None:
    bitten = threading.Event()
    dog = Watchdog(0.05, bitten.set, "the dog of this test")
    with dog.watching():
        dog.stop()
    assert not bitten.wait(0.1)
    assert "the dog of this test" not in {thread.name for thread in threading.enumerate()}
