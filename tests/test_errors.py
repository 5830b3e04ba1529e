"""Messages of the errors, and the check for optional packages."""

from __future__ import annotations

import pytest

from mmemo.errors import MissingExtraError, expected_one_of, require_extra


def test_a_missing_package_names_its_extra() -> None:
    require_extra("A page", "report", "json", "csv")
    with pytest.raises(MissingExtraError, match=r"^A page needs packages .* pip install 'mmemo\[report\]'$") as caught:
        require_extra("A page", "report", "json", "no_such_package")
    assert caught.value.extra == "report"


def test_a_close_name_is_suggested() -> None:
    assert expected_one_of("Label", ["anger", "fear"], "angr") == (
        "Label: expected one of ['anger', 'fear'], got 'angr'. Did you mean 'anger'?"
    )
    assert "Did you mean" not in expected_one_of("Label", ["anger"], "zzz")
