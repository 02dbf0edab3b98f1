import os

import pytest


@pytest.fixture
def picture_data() -> None:
    """Skip what could only be run after a download."""
    if "POLYLOGIT_DATA" not in os.environ:
        pytest.skip("needs MNIST and Fashion-MNIST; set POLYLOGIT_DATA to the folder that holds them")
