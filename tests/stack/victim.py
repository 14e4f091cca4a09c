"""Pictures that are attacked, and what no attack may get of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import requests

from tests.stack.raw import Answer, ask
from tests.stack.stacks import Picture, Stack

OPTIONS = "fit-in/400x400/filters:quality(90)"


@dataclass(frozen=True)
class Victim:
    """A picture of each kind of address, and one that the attacker does not know."""

    picture: Picture
    secret: Picture
    # By kind: the target of a valid address, and that of the address which makes what is missing on the website.
    targets: Mapping[str, str]
    resized: str
    # What anybody who knows the addresses may see.
    bodies: frozenset[bytes]

    @property
    def signature(self) -> str:
        """Of the signed address."""
        return self.targets["signed"].split("/")[1]


def settled(stack: Stack, shown: bytes, hidden: bytes) -> Victim:
    """A victim, uploaded and rendered once, so that nothing that an attack does is mixed with what a reader does."""
    picture, secret = stack.upload(shown, "victim.jpg"), stack.upload(hidden, "secret.png")

    def target(url: str) -> str:
        return url.removeprefix(stack.url)

    sign = {"key": picture.key, "options": OPTIONS}
    link = requests.post(f"{stack.url}/sign", json={**sign, "expires": 3600}, timeout=60).json()["url"]
    sign = {"key": picture.key, "resize": "100x100-fill-80-upscale.jpg"}
    website = target(requests.post(f"{stack.url}/sign", json=sign, timeout=60).json()["url"])
    resized = website.removeprefix("/website")
    assert ask(stack, resized).status == 302
    targets = {
        "signed": target(picture.urls["MI"]),
        "preset": f"/t/MI/u/{picture.key}",
        "options": f"/t/{OPTIONS}/u/{picture.key}",
        "link": target(link),
        "original": f"/{picture.key}",
        "website": website,
    }
    bodies = set()
    for each in (*targets.values(), *map(target, picture.urls.values())):
        answer = ask(stack, each)
        assert answer.status == 200, answer
        bodies.add(answer.body)
    # One of each preset, and the website's. The last is stored a moment after its answer.
    assert stack.eventually(lambda: len(stack.results(picture.key)) >= len(picture.urls) + 1)
    return Victim(picture, secret, targets, resized, frozenset(bodies))


def assert_refused(stack: Stack, answer: Answer) -> None:
    """A 4xx in our words, which tell nothing."""
    assert 400 <= answer.status < 500, answer
    assert answer.status != 429, "nothing was looked at"
    assert answer.headers["content-type"] == "application/json", answer
    assert set(answer.json) >= {"error", "code"}
    text = answer.body.decode()
    for secret in (stack.security_keys, stack.pictures_bucket, stack.results_bucket, "Traceback", "127.0.0.1"):
        assert secret not in text


def assert_harmless(stack: Stack, victim: Victim, answer: Answer) -> None:
    """Refused, or another spelling of an address that is valid."""
    if answer.status == 200:
        assert answer.body in victim.bodies
    elif answer.status == 302:
        # A website sends whoever misses something to where it is made; and from there back, if it was.
        place = answer.headers["location"].removeprefix(stack.url)
        assert place.startswith(("/m/", "/website/m/"))
        if place != victim.targets["website"]:
            assert_refused(stack, ask(stack, place))
    else:
        assert_refused(stack, answer)
