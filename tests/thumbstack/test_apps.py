"""API keys: what they allow, and which entries stop the boot."""

import pytest

from thumbstack.apps import AppKeys, Apps, Grant, read_app_keys

PAIRS = [
    AppKeys("alpha", "alpha-public-0123456789", "alpha-private-0123456789"),
    AppKeys("beta", "beta-public-0123456789", "beta-private-0123456789"),
    AppKeys("alpha", "alpha-public-new-0123456789", "alpha-private-new-0123456789"),
]


@pytest.mark.parametrize(
    ("presented", "grant"),
    [
        (["alpha-public-0123456789"], Grant("alpha", private=False)),
        (["alpha-private-0123456789"], Grant("alpha", private=True)),
        (["alpha-public-new-0123456789"], Grant("alpha", private=False)),
        (["alpha-public-0123456789", "alpha-private-new-0123456789"], Grant("alpha", private=True)),
        (["alpha-private-0123456789", "alpha-public-0123456789"], Grant("alpha", private=True)),
        (["alpha-public-0123456789", "beta-private-0123456789"], None),
        (["alpha-public-0123456789", "wrong"], None),
        (["wrong"], None),
        (["ä"], None),
        (["\ud800"], None),  # JSON can say half a character
        ([], None),
        (["", ""], None),
    ],
)
def test_keys_allow_their_own_app_only(presented: list[str], grant: Grant | None) -> None:
    assert Apps(PAIRS).grant(presented) == grant


def test_an_open_app_needs_no_key_but_takes_no_wrong_one() -> None:
    apps = Apps(PAIRS, open_app="demo")

    assert apps.grant([]) == Grant("demo", private=True)
    assert apps.grant(["wrong"]) is None
    assert apps.grant(["beta-public-0123456789"]) == Grant("beta", private=False)


def test_keys_never_show_when_an_app_is_printed() -> None:
    assert "0123456789" not in repr(PAIRS[0])


@pytest.mark.parametrize("text", ["", "  ", "[]"])
def test_no_keys_are_no_fault(text: str) -> None:
    assert read_app_keys(text) == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "no JSON"),
        ("{}", "JSON list"),
        ('[{"app": "a"}]', "entry 1"),
        ('[{"app": "A", "public_key": "k", "private_key": "k"}]', "entry 1"),
        ('[{"app": "a", "public_key": "short", "private_key": "0123456789012345678901"}]', "public_key"),
        (
            '[{"app": "a", "public_key": "0123456789012345678901", "private_key": "0123456789012345678901"}]',
            "twice",
        ),
    ],
)
def test_a_malformed_entry_is_named_and_its_key_is_not(text: str, named: str) -> None:
    with pytest.raises(ValueError, match=named) as error:
        read_app_keys(text)

    assert "0123456789" not in str(error.value)
    assert "short" not in str(error.value)
