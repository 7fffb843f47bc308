"""Every public class shows the path by which it is imported."""

import foundation_attn
import pytest


@pytest.mark.parametrize("name", foundation_attn.__all__)
def test_classes_show_the_public_path(name):
    value = getattr(foundation_attn, name)
    if isinstance(value, type):
        assert value.__module__ == "foundation_attn"
        assert "._" not in repr(value)
