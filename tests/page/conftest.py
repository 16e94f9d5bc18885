"""What tests of pages share: one browser for each file of tests."""

import pytest
from front import chromium


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser
