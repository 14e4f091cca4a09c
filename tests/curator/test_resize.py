"""What was made anew is told to the other nodes; what the command does is tests/stack/test_keeping.py's."""

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

import pytest

from curator.flags import Flags
from curator.resize import Resizing
from curator.work import Work
from thumbstack.picture_key import PictureKey
from thumbstack.refusal import StorageUnavailable


def test_what_could_not_be_told_is_told_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[set[PictureKey], set[str]]] = []

    def post_renewed(pictures: Collection[PictureKey], options: Collection[str]) -> None:
        # In place of a storage that is away at the one moment when a picture is told of.
        told.append((set(pictures), set(options)))
        if len(told) == 1:
            raise StorageUnavailable("It is away.")

    room: Any = SimpleNamespace(
        config=SimpleNamespace(thumbor_servers=("127.0.0.1:1",), security_keys=("k" * 28,)),
        notices=SimpleNamespace(post_renewed=post_renewed),
    )
    monkeypatch.setattr("curator.resize._TELL_PICTURES", 1)
    resizing = Resizing(room, Work(Flags()), {}, None, (), jobs=1, dry_run=False)
    first, second = (PictureKey("demo", "cup", f"{number}_cup.jpg") for number in (1, 2))

    with pytest.raises(StorageUnavailable):
        resizing._note(first, ["10x10"])
    resizing._note(second, ["20x20"])

    assert told == [({first}, {"10x10"}), ({first, second}, {"10x10", "20x20"})]
