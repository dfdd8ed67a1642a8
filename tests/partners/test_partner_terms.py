"""The file of partners: rights by role, narrowed rights, and faults that name the partner and the remedy."""

import pytest

from libs.common.events.partner_rights import PartnerRole, read_topics, written_topics
from services.partners.policy.partner_terms import parse_directory
from tests.partners.service import key_of, partners_toml


def test_a_role_has_the_rights_that_its_topics_give() -> None:
    acme = parse_directory('[partners.acme]\nrole = "warehouse"').partners["acme"]
    assert {"replacement.shipped.v1", "item.received.v1"} <= acme.may_send
    assert {"replacement.ordered.v1", "event.rejected.v1", "lot.held.v1"} <= acme.may_receive
    assert "collection.requested.v1" not in acme.may_receive
    assert "order.placed.v1" not in acme.may_send


def test_ops_send_nothing_and_every_other_role_sends_and_receives() -> None:
    assert written_topics(PartnerRole.OPS) == ()
    assert all(written_topics(role) for role in PartnerRole if role != PartnerRole.OPS)
    assert all(read_topics(role) for role in PartnerRole)


def test_rights_can_be_narrowed() -> None:
    text = '[partners.acme]\nrole = "warehouse"\nsends = ["replacement.shipped.v1"]\nreceives = []'
    acme = parse_directory(text).partners["acme"]
    assert acme.may_send == {"replacement.shipped.v1"}
    assert not acme.may_receive


def test_a_key_identifies_its_partner() -> None:
    directory = parse_directory(partners_toml(acme="warehouse", courier="courier"))
    assert [directory.identify(key) for key in (key_of("courier"), key_of("nobody"), "")] == ["courier", None, None]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[partners.acme", "not TOML"),
        ('[partners.acme]\nrole = "baker"', "partners.acme.role"),
        ('[partners.acme]\nrole = "warehouse"\nkey_sha256 = ["secret"]', "partners.acme.key_sha256.0"),
        ('[partners.acme]\nrole = "warehouse"\nsends = ["refund.completed.v1"]', "refund.completed.v1"),
        ('[partners.acme]\nrole = "warehouse"\nreceives = ["nothing.v1"]', "nothing.v1"),
        ('[partners.acme]\nrole = "warehouse"\nkeys = []', "partners.acme.keys"),
        ('[partners.returns]\nrole = "warehouse"', "returns"),
        ('[partners.courier]\nrole = "warehouse"', "courier"),
        ('[partners."A B"]\nrole = "warehouse"', "A B"),
        (partners_toml(acme="warehouse") + "\n" + partners_toml(acme="courier").replace(".acme", ".b"), "key_sha256"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place_of_the_fault(text: str, named: str) -> None:
    with pytest.raises(ValueError, match=named.replace(".", r"\.")):
        parse_directory(text)
