"""`GET /openapi`: the routes in OpenAPI's words, as the table has them, and what it says is what the routes take."""

from __future__ import annotations

import pytest

from router.admin.app import PREFIX, ROUTES
from router.types import JsonObject
from tests.admin.conftest import AdminHouse


@pytest.fixture(scope="module")
def document(admin: AdminHouse) -> JsonObject:
    return admin.get("/openapi")


def test_every_route_is_described_with_what_it_takes(document: JsonObject) -> None:
    assert document["openapi"].startswith("3.")
    described = {(method, path) for path, methods in document["paths"].items() for method in methods}
    others = [route for route in ROUTES if route.path != "/openapi"]
    assert described == {(route.method.lower(), PREFIX + route.path) for route in others}
    for route in others:
        said = document["paths"][PREFIX + route.path][route.method.lower()]
        assert said["summary"]
        assert said["security"] == [{"key": [route.scope]}]
        query = {parameter["name"] for parameter in said["parameters"] if parameter["in"] == "query"}
        path = {parameter["name"] for parameter in said["parameters"] if parameter["in"] == "path"}
        assert query == route.query
        assert all("{" + name + "}" in route.path for name in path)
        assert len(path) == route.path.count("{")
        if route.method == "POST":
            fields = said["requestBody"]["content"]["application/json"]["schema"]["properties"]
            assert fields.keys() == route.fields
    ids = [said["operationId"] for methods in document["paths"].values() for said in methods.values()]
    assert len(ids) == len(set(ids))


def test_a_parameter_that_is_not_described_is_refused(admin: AdminHouse, document: JsonObject) -> None:
    said = document["paths"][f"{PREFIX}/audit"]["get"]["parameters"]
    assert [parameter["name"] for parameter in said] == ["limit"]
    assert admin.ask("GET", "/audit?limit=1").status_code == 200
    assert admin.ask("GET", "/audit?offset=1").status_code == 400
