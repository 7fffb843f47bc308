"""Learning rates, by hand."""

import pytest
from foundation_nn import schedules

HALF = 0.5**0.5


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (schedules.constant(3.0), {1: 3, 2: 3, 10**6: 3}),
        (schedules.constant(3.0, warmup=3), {1: 1, 2: 2, 3: 3, 4: 3, 99: 3}),
        (schedules.linear(1.0, steps=10), {1: 0.9, 5: 0.5, 10: 0, 11: 0}),
        (schedules.linear(1.0, 10, warmup=2, final=0.2), {1: 0.5, 2: 1, 6: 0.6, 10: 0.2, 99: 0.2}),
        (
            schedules.cosine(1.0, 10, warmup=2, final=0.2),
            {1: 0.5, 2: 1, 4: 0.6 + 0.4 * HALF, 6: 0.6, 8: 0.6 - 0.4 * HALF, 10: 0.2, 99: 0.2},
        ),
        # 64^-½ = ⅛; the peak, at the end of the warm-up, is ⅛ · 16^-½ = 1/32.
        (schedules.noam(64, warmup=16), {1: 1 / 512, 8: 1 / 64, 16: 1 / 32, 64: 1 / 64}),
        (schedules.noam(64, warmup=16, factor=2.0), {16: 1 / 16}),
    ],
)
def test_values_by_hand(schedule, expected):
    assert {step: schedule(step) for step in expected} == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.constant(1.0, warmup=-1), "expected warmup >= 0, got -1"),
        (lambda: schedules.linear(1.0, steps=10, warmup=-1), "expected warmup >= 0, got -1"),
        (lambda: schedules.linear(1.0, steps=5, warmup=5), "more steps than warmup.*5 and 5"),
        (lambda: schedules.cosine(1.0, steps=0), "more steps than warmup steps, got 0 and 0"),
        (lambda: schedules.noam(64, warmup=0), "noam: expected warmup >= 1, got 0"),
    ],
)
def test_impossible_plans_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
