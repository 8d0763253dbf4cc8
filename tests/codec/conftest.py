"""The same tests run over both codecs: one corpus, one set of promises."""

from __future__ import annotations

import pytest
from codec_values import CODECS, Codec, load


# Of the session: hypothesis takes no fixture that is to be made anew for each of its examples.
@pytest.fixture(scope="session", params=CODECS)
def codec(request: pytest.FixtureRequest) -> Codec:
    """Each of them in turn."""
    return load(request.param)
