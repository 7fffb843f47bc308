"""Learning rates, by hand."""

import json
import math

import numpy as np
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
        (schedules.step(8.0, every=3, gamma=0.5), {1: 8, 3: 8, 4: 4, 6: 4, 7: 2, 10: 1}),
        (
            schedules.step(8.0, every=3, gamma=0.5, warmup=2),
            {1: 4, 2: 8, 3: 8, 5: 8, 6: 4, 8: 4, 9: 2},
        ),
        (
            schedules.wsd(1.0, steps=12, decay=4, warmup=4, final=0.2),
            {1: 0.25, 4: 1, 5: 1, 8: 1, 9: 0.8, 10: 0.6, 11: 0.4, 12: 0.2, 99: 0.2},
        ),
        (schedules.wsd(1.0, steps=4, decay=4), {1: 0.75, 3: 0.25, 4: 0}),
        (schedules.wsd(1.0, steps=4, decay=2, warmup=2), {1: 0.5, 2: 1, 3: 0.5, 4: 0}),
        (schedules.plateau(2.0), {1: 2, 99: 2}),
        (schedules.plateau(2.0, warmup=4), {1: 0.5, 2: 1, 4: 2, 5: 2}),
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
        (lambda: schedules.step(1.0, every=0), "step: expected every >= 1, got 0"),
        (lambda: schedules.step(1.0, every=1, warmup=-1), "expected warmup >= 0, got -1"),
        (lambda: schedules.wsd(1.0, 10, decay=0), "wsd: expected decay >= 1, got 0"),
        (
            lambda: schedules.wsd(1.0, 10, 6, warmup=5),
            r"warmup \+ decay <= steps, got 5 \+ 6 and 10",
        ),
        (lambda: schedules.wsd(1.0, 10, 6, warmup=-1), "expected warmup >= 0, got -1"),
        (lambda: schedules.plateau(1.0, factor=1.0), "plateau: expected 0 < factor < 1, got 1.0"),
        (lambda: schedules.plateau(1.0, patience=0), "plateau: expected patience >= 1, got 0"),
        (lambda: schedules.plateau(1.0, warmup=-1), "plateau: expected warmup >= 0, got -1"),
    ],
)
def test_impossible_plans_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


MAKERS = {
    "constant": lambda **o: schedules.constant(**{"lr": 1.0, **o}),
    "linear": lambda **o: schedules.linear(**{"lr": 1.0, "steps": 10, **o}),
    "cosine": lambda **o: schedules.cosine(**{"lr": 1.0, "steps": 10, **o}),
    "noam": lambda **o: schedules.noam(**{"d_model": 64, "warmup": 3, **o}),
    "step": lambda **o: schedules.step(**{"lr": 1.0, "every": 3, **o}),
    "wsd": lambda **o: schedules.wsd(**{"lr": 1.0, "steps": 10, "decay": 4, **o}),
    "plateau": lambda **o: schedules.plateau(**{"lr": 1.0, **o}),
}
RATES = {
    "constant": ["lr"],
    "linear": ["lr", "final"],
    "cosine": ["lr", "final"],
    "noam": ["factor"],
    "step": ["lr", "gamma"],
    "wsd": ["lr", "final"],
    "plateau": ["lr", "final", "threshold"],
}
COUNTS = {
    "constant": ["warmup"],
    "linear": ["steps", "warmup"],
    "cosine": ["steps", "warmup"],
    "noam": ["d_model", "warmup"],
    "step": ["every", "warmup"],
    "wsd": ["steps", "decay", "warmup"],
    "plateau": ["patience", "warmup"],
}
SETTINGS = [(kind, name) for table in (RATES, COUNTS) for kind in MAKERS for name in table[kind]]


@pytest.mark.parametrize(("kind", "name"), SETTINGS)
def test_every_setting_is_a_finite_number_that_is_not_negative(kind, name):
    for bad in (-5, math.nan, math.inf):
        with pytest.raises(ValueError, match=rf"{kind}: expected .*{name}.*, got .*{bad}"):
            MAKERS[kind](**{name: bad})
    with pytest.raises(TypeError, match=f"{kind}: expected {name} to be a number, got the str"):
        MAKERS[kind](**{name: "1"})


@pytest.mark.parametrize("kind", MAKERS)
def test_numbers_of_steps_are_whole(kind):
    for name in COUNTS[kind]:
        with pytest.raises(ValueError, match=f"{kind}: expected {name} to be a whole number, got"):
            MAKERS[kind](**{name: 4.5})
    # A tenth of the run is no tenth of a step.
    with pytest.raises(ValueError, match="expected warmup"):
        MAKERS[kind](warmup=0.1)


@pytest.mark.parametrize("kind", MAKERS)
def test_rates_are_plain_numbers_whatever_the_settings_are(kind):
    settings = {name: np.float32(0.5) for name in RATES[kind]}
    settings |= {name: np.int64(4) for name in COUNTS[kind]} | (
        {"steps": np.float64(10)} if "steps" in COUNTS[kind] else {}
    )
    schedule = MAKERS[kind](**settings)
    assert {type(schedule(n)) for n in (1, 3, 7, 11)} == {float}
    if kind == "plateau":
        json.dumps(schedule.to_dict())


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("n", [0, -1, math.nan])
def test_steps_count_from_one(kind, n):
    with pytest.raises(ValueError, match=f"schedule: expected step >= 1, got {n}"):
        MAKERS[kind]()(n)


def observed(schedule, *metrics):
    rates = []
    for metric in metrics:
        schedule.observe(metric)
        rates.append(schedule(100))
    return rates


def test_a_plateau_lowers_the_rate_after_so_many_evaluations_in_vain():
    schedule = schedules.plateau(8.0, factor=0.5, patience=2)
    # An improvement in between starts the count again; so does a reduction.
    assert observed(schedule, 3, 4, 2, 2, 2, 2, 2, 1) == [8, 8, 8, 8, 4, 4, 2, 2]


def test_a_plateau_wants_an_improvement_worth_the_name():
    assert observed(schedules.plateau(8.0, 0.5, 1, threshold=0.1), 10, 9.5) == [8, 4]
    assert observed(schedules.plateau(8.0, 0.5, 1, threshold=0.1), 10, 8.9) == [8, 8]
    # Also below zero, where the best is the largest in size.
    assert observed(schedules.plateau(8.0, 0.5, 1, threshold=0.1), -10, -10.5) == [8, 4]
    assert observed(schedules.plateau(8.0, 0.5, 1, threshold=0.1), -10, -11.5) == [8, 8]


def test_nan_is_no_improvement_and_nothing_is_lower_than_the_final_rate():
    nan = float("nan")
    schedule = schedules.plateau(8.0, factor=0.5, patience=1, final=3.0)
    assert observed(schedule, nan, 5, nan, nan, 4) == [4, 4, 3, 3, 3]


def test_a_plateau_warms_up_to_the_rate_it_has():
    schedule = schedules.plateau(8.0, factor=0.5, patience=1, warmup=4)
    observed(schedule, 1, 1)
    assert [schedule(n) for n in (1, 2, 4, 9)] == [1, 2, 4, 4]


def test_a_plateau_remembers_through_json():
    schedule = schedules.plateau(8.0, factor=0.5, patience=2, warmup=1)
    other = schedules.Plateau.from_dict(json.loads(json.dumps(schedule.to_dict())))
    assert other.to_dict() == schedule.to_dict()
    observed(schedule, 3, 3, 3, 3)
    other = schedules.Plateau.from_dict(json.loads(json.dumps(schedule.to_dict())))
    assert observed(other, 3) == observed(schedule, 3) == [2]
