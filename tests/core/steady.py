"""How property-based tests run here: the same examples each time, and no clock that makes a slow machine fail."""

from hypothesis import HealthCheck, settings

STEADY = settings(derandomize=True, deadline=None, max_examples=150, database=None, report_multiple_bugs=False)
# A state machine's example is a whole story, so there are fewer of them
STORIES = settings(
    STEADY,
    max_examples=100,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
