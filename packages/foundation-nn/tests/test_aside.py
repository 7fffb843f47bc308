"""Gradients of weights, computed by another thread while the walk goes on."""

import gc
import threading
import time
import weakref

import numpy as np
import pytest
from foundation_nn import (
    Array,
    Linear,
    Parameter,
    Result,
    Tensor,
    get_num_threads,
    operation,
    over_parts,
)
from foundation_nn import functional as F
from foundation_nn.engine import _aside, _threads
from foundation_nn.engine._aside import MOST_WAITING, Aside


@pytest.mark.parametrize("n", [1, 2, 3])
def test_all_is_done_and_for_each_key_in_order(threads, n):
    threads(n)
    done = {key: [] for key in range(7)}
    aside = Aside()
    for i in range(100):
        aside.add(i % 7, lambda i=i: done[i % 7].append(i))
    aside.finish()
    assert done == {key: list(range(key, 100, 7)) for key in range(7)}
    assert not any(aside.waits_for(key) for key in done)


def test_work_is_done_by_another_thread_while_this_one_goes_on(threads):
    threads(2)
    aside = Aside()
    here, go_on = [], threading.Event()
    aside.add("key", lambda: (go_on.wait(5), here.append(threading.get_ident())))
    assert aside.waits_for("key")
    go_on.set()
    aside.finish()
    assert len(here) == 1


def test_the_calling_thread_helps_where_too_much_waits(threads):
    threads(2)
    aside = Aside()
    busy, started = threading.Event(), threading.Event()
    aside.add("slow", lambda: (started.set(), busy.wait(5)))
    assert started.wait(5)  # the helper is busy from here on
    done = []
    for i in range(MOST_WAITING + 3):
        aside.add(i, lambda i=i: done.append((i, threading.get_ident())))
    assert [i for i, _ in done] == [0, 1, 2]
    assert {thread for _, thread in done} == {threading.get_ident()}
    busy.set()
    aside.finish()
    assert len(done) == MOST_WAITING + 3


def test_an_error_is_raised_at_the_end(threads):
    threads(2)
    aside = Aside()
    aside.add("a", lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        aside.finish()


def test_what_nobody_has_begun_with_can_be_given_up(threads):
    threads(2)
    aside = Aside()
    busy, started, done = threading.Event(), threading.Event(), []
    aside.add("slow", lambda: (started.set(), busy.wait(5)))
    assert started.wait(5)
    aside.add("other", lambda: done.append(1))
    threading.Timer(0.05, busy.set).start()
    aside.give_up()
    assert done == []


@pytest.mark.parametrize("n", [1, 2])
def test_an_error_in_a_gradient_reaches_the_caller_of_backward(threads, n):
    threads(n)

    @operation
    def wrong(x: Array, weight: Array) -> Result:
        def backward(g):
            def dw():
                raise KeyError("dw")

            return lambda: g, dw

        return x + weight, backward

    x = Tensor(np.ones((200, 100)), requires_grad=True)
    weight = Parameter(np.ones((200, 100)))
    with pytest.raises(KeyError, match="dw"):
        wrong(x, weight).sum().backward()


def gradients(tied):
    """Of a deep network whose layers, if ``tied``, share one weight."""
    rng = np.random.default_rng(0)
    layers = [Linear(160, 160, rng=rng) for _ in range(5)]
    if tied:
        for layer in layers[1:]:
            layer.weight = layers[0].weight
    x = Tensor(rng.standard_normal((97, 160), dtype=np.float32), requires_grad=True)
    y = x
    for layer in layers:
        y = y + F.tanh(layer(y))
    (y * y).mean().backward()
    return [
        x.grad,
        *(layer.weight.grad for layer in layers),
        *(layer.bias.grad for layer in layers),
    ]


@pytest.mark.parametrize("tied", [False, True])
def test_gradients_are_the_same_to_the_bit_with_any_number_of_threads(threads, tied):
    results = []
    for n in (1, 2, 3):
        threads(n)
        for _ in range(5):
            results.append([g.tobytes() for g in gradients(tied)])
    assert all(result == results[0] for result in results)


def test_what_a_walk_leaves_is_complete(threads):
    threads(2)
    assert get_num_threads() == 2
    w = Parameter(np.ones((300, 300), np.float32))
    x = Tensor(np.ones((50, 300), np.float32))
    for repeat in range(1, 20):
        (x @ w.T).sum().backward()
        assert (w.grad == 50 * repeat).all()


def test_work_for_a_key_stays_in_line_when_the_number_of_threads_changes(threads):
    threads(2)
    aside = Aside()
    go_on, started, done = threading.Event(), threading.Event(), []
    aside.add("key", lambda: (started.set(), go_on.wait(5), done.append("first")))
    assert started.wait(5)
    threads(1)
    aside.add("key", lambda: done.append("second"))
    aside.add("other", lambda: done.append("at once"))
    assert done == ["at once"]
    go_on.set()
    aside.finish()
    assert done == ["at once", "first", "second"]


def test_work_for_one_key_does_not_pile_up(threads):
    threads(2)
    aside = Aside()
    done, waiting = [], []

    def work():
        time.sleep(0.001)  # slower than what adds it
        done.append(1)

    for i in range(5 * MOST_WAITING):
        aside.add("key", work)
        waiting.append(i + 1 - len(done))
    aside.finish()
    assert len(done) == 5 * MOST_WAITING
    assert max(waiting) <= MOST_WAITING + 1  # one is being done


@pytest.mark.parametrize("where", ["aside", "parts"])
def test_what_failed_is_freed_at_once(threads, where):
    threads(2)

    class Large:
        """What stands for an array that the failing work refers to."""

    def fail():
        large = Large()
        references.append(weakref.ref(large))
        both = threading.Barrier(2)

        def work(part=0):
            both.wait(5)
            assert large
            raise KeyError(part)

        if where == "parts":
            over_parts(work, 2)
        else:
            aside = Aside()
            aside.add("key", work)
            both.wait(5)
            aside.finish()

    references = []
    gc.collect()
    gc.disable()  # a circle of references would stay until it runs
    try:
        with pytest.raises(KeyError) as caught:
            fail()
        del caught
        for _ in range(100):  # until the helper has left its last function
            if references[0]() is not None:
                time.sleep(0.01)
        assert references[0]() is None
    finally:
        gc.enable()


def test_helpers_find_one_blas_thread_also_where_gradients_are_small(threads):
    threads(2)
    before, inside = [library.num_threads for library in _threads._blas()], []

    @operation
    def spy(x: Array, weight: Array) -> Result:
        def backward(g):
            def dw():
                inside.append([library.num_threads for library in _threads._blas()])
                return np.zeros_like(weight)

            return g, dw

        return x * 1, backward

    spy(Tensor([1.0]), Parameter(np.ones((200, 100), np.float32))).sum().backward()
    assert inside == [[1] * len(before)]
    assert [library.num_threads for library in _threads._blas()] == before


def test_an_interrupt_between_two_pieces_of_work_does_not_make_the_walk_wait_for_itself(
    threads, monkeypatch
):
    threads(2)
    monkeypatch.setattr(_aside, "call_helpers", lambda job, count: None)
    aside = Aside()
    aside.add("weight", lambda: None)

    def interrupted(key):
        raise KeyboardInterrupt  # as Python does before any instruction of the main thread

    monkeypatch.setattr(aside, "_next_of", interrupted)
    raised = []

    def walk():
        try:
            aside.finish()
        except KeyboardInterrupt as error:
            aside.give_up()
            raised.append(error)

    thread = threading.Thread(target=walk, daemon=True)
    thread.start()
    thread.join(10)
    assert raised
