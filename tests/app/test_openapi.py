"""The endpoint against its own OpenAPI document: whatever is sent, the response is one that is described."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import one_of
from schemathesis import Case, GenerationMode, openapi

from tests.app.conftest import Running

pytestmark = pytest.mark.slow


def test_every_response_is_as_described(server: Running, same_inputs: None) -> None:
    from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

    # A file of random bytes is no clip, and in a form every value is text: false becomes "false".
    unfit = [positive_data_acceptance, negative_data_rejection]

    described = openapi.from_url(f"{server.address}/openapi.json", headers=server.bearer)
    operation = described["/api/analyze"]["POST"]
    sent: set[int] = set()

    @seed(13)
    @settings(
        max_examples=60,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode)))
    def exchange(case: Case) -> None:
        response = case.call_and_validate(headers=server.bearer, excluded_checks=unfit)
        sent.add(response.status_code)

    exchange()
    assert sent & {200, 422}
    words = operation.Case(body={"text": "What a lovely day!"}, media_type="multipart/form-data")
    assert words.call_and_validate(headers=server.bearer).status_code == 200
