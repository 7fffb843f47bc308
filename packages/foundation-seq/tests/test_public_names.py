"""Every public class shows the path by which it is imported."""

import foundation_seq
import pytest


@pytest.mark.parametrize("name", foundation_seq.__all__)
def test_classes_show_the_public_path(name):
    value = getattr(foundation_seq, name)
    if isinstance(value, type):
        assert value.__module__ == "foundation_seq"
        assert "._" not in repr(value)
