"""What the curves of a run tell, in words."""

from __future__ import annotations

from foundation_nn.training._history import History


def diagnose(history: History) -> list[str]:
    """What an experienced eye would see in the curves; empty if nothing is amiss.

    The held-out loss has risen again; most gradients are clipped; the loss has hardly moved.
    """
    found = []
    steps, evaluations = history.steps, history.evaluations
    if len(evaluations) >= 3:
        best = min(evaluations, key=lambda e: e.loss)
        last = evaluations[-1]
        if last.loss > best.loss * 1.02:
            found.append(
                f"The held-out loss was best at step {best.step:,} ({best.loss:.3f}) and is "
                f"{last.loss:.3f} now: the model learns its training data by heart. Stop earlier, "
                "raise dropout, or find more data."
            )
    if len(steps) >= 20:
        tail = steps[len(steps) // 2 :]
        share = sum(s.clipped for s in tail) / len(tail)
        if share > 0.5:
            found.append(
                f"{share:.0%} of the gradients in the second half were clipped: in effect the "
                "learning rate is lower than it says. Lower it, or raise the norm."
            )
        tenth = max(1, len(steps) // 10)
        first, end = (sum(s.loss for s in part) / tenth for part in (steps[:tenth], steps[-tenth:]))
        if end > 0.98 * first:
            found.append(
                f"The loss has hardly moved, from {first:.3f} to {end:.3f}. Try a learning rate "
                "three times larger or smaller, and look at the data."
            )
    return found
