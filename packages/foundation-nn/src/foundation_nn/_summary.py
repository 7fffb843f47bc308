"""A table of a model's parameters."""

from __future__ import annotations

from foundation_nn._module import Module


def summary(model: Module, depth: int = 2) -> str:
    """The parameters of a model, layer by layer, as text.

    Parameters
    ----------
    model : Module
    depth : int
        How far to open nested modules. Shared parameters count where they occur first.

    Returns
    -------
    str
        A table to print.

    Examples
    --------
    >>> from foundation_nn import MLP, summary
    >>> print(summary(MLP([2, 8, 1])))
    layer      kind          parameters
    0          Linear                24
    2          Linear                 9
    total      MLP                   33
    """
    seen: set[int] = set()
    rows: list[tuple[str, str, int]] = []

    def own(module: Module) -> int:
        count = 0
        for p in module.parameters():
            if id(p) not in seen:
                seen.add(id(p))
                count += p.size
        return count

    def visit(module: Module, path: str, level: int) -> None:
        children = [(n, m) for n, m in module._children() if isinstance(m, Module)]
        if level < depth and children:
            for name, child in children:
                visit(child, f"{path}.{name}" if path else name, level + 1)
        count = own(module)
        if count:
            rows.append((path or "(itself)", type(module).__name__, count))

    visit(model, "", 0)
    rows.append(("total", type(model).__name__, model.num_parameters()))
    names = max(10, *(len(name) for name, _, _ in rows))
    kinds = max(10, *(len(kind) for _, kind, _ in rows))
    lines = [f"{'layer':{names}} {'kind':{kinds}} {'parameters':>13}"]
    lines += [f"{name:{names}} {kind:{kinds}} {count:13,}" for name, kind, count in rows]
    return "\n".join(lines)
