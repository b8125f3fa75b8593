"""The OpenAPI document and the running API agree: whatever is sent, the answer is one that is described."""

from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings

from service.sandbox.demo.world import World
from tests.http.api import MUG

pytestmark = pytest.mark.integration

schemathesis = pytest.importorskip("schemathesis", reason="comes with requirements-dev.txt")

OPERATIONS = [
    "POST /v1/orders",
    "GET /v1/orders/{order_id}",
    "GET /v1/orders/{order_id}/events",
    "POST /v1/orders/{order_id}/cancel",
    "POST /v1/orders/{order_id}/completions",
    "POST /v1/orders/{order_id}/refunds",
    "POST /v1/orders/{order_id}/client-result",
    "POST /wallets/{profile}/notify",
    "GET /health",
    "GET /metrics",
]


@pytest.fixture(scope="session")
def described(world: World) -> dict[str, Any]:
    """The operations of the running API's own document."""
    schema = schemathesis.openapi.from_url(f"{world.bridge_url}/openapi.json")
    return {each.ok().label: each.ok() for each in schema.get_all_operations()}


def test_every_operation_is_tried(described: dict[str, Any]) -> None:
    assert sorted(described) == sorted(OPERATIONS)


def _check(operation: Any, mode: str, order_id: str | None) -> None:
    checks = schemathesis.checks.CHECKS
    not_ours = [
        # NUL, 1.0 for 1 and terms that a wallet would refuse are beyond what a JSON Schema can say.
        checks.get_one("positive_data_acceptance"),
        # On this machine no key is asked for.
        checks.get_one("ignored_auth"),
    ]

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode)))
    def whatever_is_sent(case: Any) -> None:
        if order_id is not None:
            case.path_parameters["order_id"] = order_id
        case.call_and_validate(excluded_checks=not_ours)

    whatever_is_sent()


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_described(described: dict[str, Any], label: str) -> None:
    _check(described[label], "positive", None)


@pytest.mark.parametrize("label", [label for label in OPERATIONS if label.startswith("POST /v1")])
def test_what_the_document_forbids_is_refused(described: dict[str, Any], label: str) -> None:
    _check(described[label], "negative", None)


@pytest.mark.parametrize(
    "label", [label for label in OPERATIONS if "{order_id}" in label and "events" not in label]
)
def test_every_answer_about_a_real_order_is_described(described: dict[str, Any], world: World, label: str) -> None:
    with httpx2.Client(base_url=world.bridge_url, trust_env=False) as client:
        made = client.post("/v1/orders", json=MUG).json()
    _check(described[label], "positive", made["order_id"])
