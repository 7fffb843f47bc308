"""How a module looks in a notebook: a tree of what it is made of, to be opened and closed."""

from __future__ import annotations

import html
from typing import Any

from foundation_nn.engine._parameter import Buffer, Parameter

#: Modules at this depth and above are open at first.
_OPEN_TO = 1
_FAINT = 'style="opacity:.75"'


def tree(module: Any) -> str:
    """Nested lists of modules, parameters and buffers, with their shapes and numbers."""
    return f'<div style="line-height:1.5">{_branch("", module, 0)}</div>'


def _branch(name: str, module: Any, depth: int) -> str:
    count = module.num_parameters()
    numbers = f"{count:,} parameter{'' if count == 1 else 's'}"
    dtypes = sorted({str(p.dtype) for p in module.parameters()})
    if not depth and dtypes:
        numbers += f", {' and '.join(dtypes)}"
    called = f"({html.escape(name)}) " if name else ""
    kind = html.escape(type(module).__name__)
    options = html.escape(f"({module._options()})") if module._options() else ""
    title = f"{called}<b>{kind}</b>{options} <span {_FAINT}>{numbers}</span>"
    parts = [*module._shown(), *_values(module)]
    if not parts:
        return f'<div style="padding-left:1.1em">{title}</div>'
    inner = "".join(_leaf_or_branch(part, value, depth + 1) for part, value in parts)
    opened = " open" if depth <= _OPEN_TO else ""
    return (
        f"<details{opened}><summary>{title}</summary>"
        f'<div style="padding-left:1.4em">{inner}</div></details>'
    )


def _values(module: Any) -> list[tuple[str, Parameter | Buffer]]:
    return [(n, v) for n, v in module._children() if isinstance(v, Parameter | Buffer)]


def _leaf_or_branch(name: str, value: Any, depth: int) -> str:
    if hasattr(value, "_shown"):  # a module
        return _branch(name, value, depth)
    if isinstance(value, Parameter | Buffer):
        called = html.escape(name)
        frozen = "" if isinstance(value, Buffer) or value.requires_grad else ", frozen"
        kind = "buffer " if isinstance(value, Buffer) else ""
        facts = f"{kind}{value.shape}{frozen}"
    else:  # a function among the layers
        called = f"({html.escape(name)})"
        facts = getattr(value, "__name__", repr(value))
    return (
        f'<div style="padding-left:1.1em">{called} <span {_FAINT}>{html.escape(facts)}</span></div>'
    )
