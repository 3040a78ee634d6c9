from pipeline.backoff import Backoff


def test_waits_grow_to_a_bound_and_are_never_all_alike() -> None:
    backoff = Backoff(first_seconds=1.0, longest_seconds=60.0)
    waits = [backoff.next_seconds() for _ in range(200)]
    assert all(0 <= wait <= min(2.0**attempt, 60.0) for attempt, wait in enumerate(waits[:40]))
    assert max(waits) > 30
    assert len(set(waits)) == len(waits)
    backoff.reset()
    assert backoff.next_seconds() <= 1.0
