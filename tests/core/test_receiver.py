"""The identifiers of QoS 2 that were received and not released."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.core.receiver import Receiver
from linnet.errors import ProtocolError, ReasonCode
from tests.core.steady import STEADY


@STEADY
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 5)), max_size=40))
def test_a_receiver_is_a_set_with_a_bound(steps: list[tuple[bool, int]]) -> None:
    receiver, model = Receiver(3), set[int]()
    for is_publish, packet_id in steps:
        if not is_publish:
            assert receiver.release(packet_id) is (packet_id in model)
            model.discard(packet_id)
        elif not receiver.is_repeated(packet_id):
            assert packet_id not in model
            if len(model) == 3:
                with pytest.raises(ProtocolError) as caught:
                    receiver.check_quota()
                assert caught.value.reason_code == ReasonCode.RECEIVE_MAXIMUM_EXCEEDED
            else:
                receiver.check_quota()
                receiver.keep(packet_id)
                model.add(packet_id)
        assert set(receiver.unreleased) == model


def test_a_repetition_is_no_new_message() -> None:
    receiver = Receiver(1)
    receiver.keep(7)
    assert receiver.is_repeated(7)
    receiver.keep(7)
    assert repr(receiver) == "<Receiver 1 unreleased of 1>"


def test_after_its_release_an_identifier_is_new() -> None:
    receiver = Receiver(1)
    receiver.keep(7)
    assert receiver.release(7)
    assert not receiver.is_repeated(7)
    assert not receiver.release(7)
