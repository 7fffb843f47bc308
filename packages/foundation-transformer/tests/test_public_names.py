"""Every public class shows the path by which it is imported."""

import foundation_transformer
import pytest
from foundation_transformer import evaluation, pretrained, recipes

PACKAGES = [foundation_transformer, evaluation, pretrained, recipes]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_classes_show_the_public_path(package):
    for name in package.__all__:
        value = getattr(package, name)
        if isinstance(value, type):
            assert value.__module__ in ("foundation_transformer", package.__name__)
            assert "._" not in repr(value)


def test_an_error_names_the_path_by_which_it_is_caught():
    expected = "<class 'foundation_transformer.ContextLengthError'>"
    assert repr(foundation_transformer.ContextLengthError) == expected
