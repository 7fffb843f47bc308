"""Every public class shows the path by which it is imported."""

import foundation_data
import pytest


@pytest.mark.parametrize("name", foundation_data.__all__)
def test_classes_show_the_public_path(name):
    value = getattr(foundation_data, name)
    if isinstance(value, type):
        assert value.__module__ == "foundation_data"
        assert "._" not in repr(value)
