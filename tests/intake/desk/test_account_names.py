"""Names of accounts that an identity provider proposes."""

from services.intake.desk.openid import account_name


def test_names_of_the_provider_become_names_of_accounts() -> None:
    given = ["Hanako.Suzuki@shop.example", "鈴木 花子", "CORP\\hanako", "a" * 60, "--x--"]
    assert [account_name(name) for name in given] == ["hanako.suzuki", "staff", "corp-hanako", "a" * 36, "x"]
