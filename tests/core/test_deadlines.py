"""What is due is done in its order, at its time, once, and not if it was cancelled."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from linnet.core.deadlines import Deadline, Deadlines
from tests.core.steady import STEADY

steps = st.lists(
    st.one_of(
        st.tuples(st.just("at"), st.integers(0, 50)),
        st.tuples(st.just("cancel"), st.integers(0, 200)),
        st.tuples(st.just("run"), st.integers(0, 10)),
    ),
    max_size=200,
)


def none(result: object) -> None:
    """So that a call may be all that a lambda does."""


@STEADY
@given(steps)
def test_deadlines_are_a_sorted_list(changes: list[tuple[str, int]]) -> None:
    deadlines, now = Deadlines(), 0
    made: list[Deadline] = []
    done: list[int] = []
    model: dict[int, int] = {}  # when each is due that is neither done nor cancelled
    told: list[float] = []
    deadlines.on_earlier = told.append
    for step, number in changes:
        if step == "at":
            index, at = len(made), now + number
            earliest = min(model.values(), default=None)
            told.clear()
            made.append(deadlines.at(at, lambda then, index=index: done.append(index)))  # type: ignore[misc]
            if earliest is None and not deadlines.cancelled:
                assert told == [at]
            if earliest is not None and at > earliest:
                assert told == []
            model[index] = at
        elif step == "cancel" and made:
            deadlines.cancel(made[number % len(made)])
            model.pop(number % len(made), None)
        elif step == "run":
            now += number
            done.clear()
            deadlines.run(now)
            due = [index for index, at in model.items() if at <= now]
            assert sorted(done) == due
            assert [model[index] for index in done] == sorted(model[index] for index in due)
            for index in due:
                del model[index]
        assert deadlines.next_at == min(model.values(), default=None)
        assert repr(deadlines) == f"<Deadlines {len(model)} due>"


def test_what_is_due_may_make_something_due_at_once() -> None:
    deadlines = Deadlines()
    done: list[float] = []
    deadlines.at(1, lambda now: none(deadlines.at(now, done.append)))
    deadlines.run(5)
    assert done == [5]


def test_what_is_due_may_cancel_what_is_due_too() -> None:
    deadlines = Deadlines()
    done: list[float] = []
    second = deadlines.at(2, done.append)
    deadlines.at(1, lambda now: deadlines.cancel(second))
    deadlines.run(5)
    assert done == []
    assert deadlines.next_at is None


def test_cancelling_what_is_past_or_nothing_does_nothing() -> None:
    deadlines = Deadlines()
    past = deadlines.at(1, lambda now: None)
    deadlines.run(1)
    deadlines.cancel(past)
    deadlines.cancel(past)
    deadlines.cancel(None)
    assert (deadlines.cancelled, len(deadlines.heap)) == (0, 0)


def test_a_hundred_thousand_cancelled_deadlines_take_no_room() -> None:
    deadlines = Deadlines()
    kept = deadlines.at(10**6, lambda now: None)
    for number in range(100_000):
        deadlines.cancel(deadlines.at(number, lambda now: None))
        assert len(deadlines.heap) < 200
    assert deadlines.next_at == kept.at


def test_a_deadline_says_when_it_is_due_and_whether_it_was_cancelled() -> None:
    deadlines = Deadlines()
    one = deadlines.at(1.5, lambda now: None)
    assert repr(one) == "<Deadline at 1.500>"
    deadlines.cancel(one)
    assert repr(one) == "<Deadline at 1.500, cancelled>"


def test_what_is_due_at_the_same_time_comes_in_the_order_it_was_asked_for() -> None:
    """A clock of whole milliseconds, such as uvloop's, makes many things due at once."""
    deadlines = Deadlines()
    came: list[int] = []
    for number in range(20):
        deadlines.at(1.0, lambda _, number=number: came.append(number))  # type: ignore[misc]
    deadlines.run(1.0)
    assert came == list(range(20))
