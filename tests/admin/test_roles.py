"""Every route with every role: nothing is open without a key, and reading does not change."""

from __future__ import annotations

import pytest

from router.admin.app import ROUTES
from tests.admin.conftest import AdminHouse
from tests.support.gateway import until

# role -> scopes that it has; None: no key at all
ROLES: dict[str, set[str] | None] = {
    "nobody": None,
    "wrong": None,
    "infer": {"infer"},
    "read": {"read"},
    "admin": {"admin"},
    "owner": {"read", "admin"},  # the admin's key of the state folder
}
BODIES = {
    "/policy/rollback": {"version": "999999"},
    "/policy/validate": {"recipe": "offline"},
    "/policy/diff": {"recipe": "offline"},
}


def key_of(admin: AdminHouse, role: str) -> str | None:
    if role == "nobody":
        return None
    return {"wrong": "gha-" + "x" * 43, "owner": admin.key}.get(role) or admin.keys[role]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_route_opens_for_its_scope_alone(admin: AdminHouse, route, role: str) -> None:
    path = route.path.replace("{id}", "nosuchthing").replace("{which}", "999999")
    body = BODIES.get(route.path, {}) if route.method == "POST" else None
    answer = admin.ask(route.method, path, key_of(admin, role), json=body)
    scopes = ROLES[role]
    if scopes is None:
        assert answer.status_code in (401, 429), "429: too many of these in a minute"
    elif route.scope in scopes:
        assert answer.status_code in (200, 400, 404, 409), answer.text
    else:
        assert answer.status_code in (403, 429)
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"


def test_what_changes_something_is_a_post_and_needs_the_scope_admin() -> None:
    for route in ROUTES:
        if route.changes:
            assert (route.method, route.scope) == ("POST", "admin"), route.path
    assert any(route.changes for route in ROUTES)


def test_a_key_of_another_tenant_sees_its_own_records_alone(admin: AdminHouse) -> None:
    ours = admin.chat(key="infer").headers["x-gatehouse-request-id"]
    theirs = admin.chat(key="acme-infer").headers["x-gatehouse-request-id"]

    def ids(key: str) -> set[str]:
        return {each["id"] for each in admin.ask("GET", "/records?limit=1000", key).json()["records"]}

    until(lambda: {ours, theirs} <= ids(admin.key))
    acme = admin.keys["acme-read"]
    assert ours not in ids(acme)
    assert theirs in ids(acme)
    assert admin.ask("GET", f"/records/{ours}", acme).status_code == 404
    assert admin.ask("GET", f"/records/{theirs}", acme).status_code == 200
    asked = admin.ask("GET", "/records?tenant=default&limit=1000", acme).json()["records"]
    assert {each["principal"]["tenant"] for each in asked} == {"acme"}
    assert admin.ask("POST", "/policy/simulate", acme, json={"recipe": "offline"}).status_code == 403
    assert admin.ask("GET", "/savings", acme).json()["total"]["requests"] < admin.get("/savings")["total"]["requests"]


def test_an_admin_of_another_tenant_makes_no_keys(admin: AdminHouse) -> None:
    key = admin.keys["acme-admin"]
    assert admin.ask("POST", "/keys", key, json={"name": "more"}).json()["error"]["code"] == "insufficient_scope"
    assert admin.ask("GET", "/keys", key).status_code == 403
