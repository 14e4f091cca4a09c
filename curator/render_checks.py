"""Does each Thumbor answer, and refuse what it must? What runs is asked, not what a file says."""

import re
from collections.abc import Iterator

from curator.check import NOBODYS, Check, Verdict, get, ok
from curator.config import Config
from thumbstack.signing import signed_path

# Thumbor's own default key, which everybody knows.
_KNOWN_KEY = "MY_SECURE_KEY"


def render_checks(config: Config) -> Iterator[Check]:
    """The checks, process by process."""
    if not config.thumbor_servers:
        yield Check("thumbor", Verdict.UNKNOWN, "THUMBOR_SERVERS is not set: there is nobody to ask.")
        return
    for server in config.thumbor_servers:
        name, health = f"thumbor {server}", get(f"http://{server}/healthcheck")
        if health is None or not health.ok:
            yield Check(name, Verdict.WRONG, "It does not answer: its log says why.")
            continue
        yield Check(name, Verdict.OK, "It answers.")
        # 404 would be the answer of who had looked for the picture.
        refused = {
            "ALLOW_UNSAFE_URL must be off: it renders what nobody signed.": f"/unsafe/10x10/{NOBODYS}",
            "SECURITY_KEYS must not hold Thumbor's default, which everybody knows.": signed_path(
                NOBODYS, "10x10", _KNOWN_KEY
            ),
        }
        opened = [
            told
            for told, path in refused.items()
            if (got := get(f"http://{server}{path}")) is None or got.status_code != 400
        ]
        yield ok(f"{name}: signatures", not opened, "Only signed addresses are rendered.", " ".join(opened))
        known = get(f"http://{server}{signed_path(NOBODYS, '10x10', config.security_keys[0])}")
        yield ok(
            f"{name}: keys",
            known is not None and known.status_code == 404,
            "It has the key that signs here.",
            f"It does not take what is signed here ({known.status_code if known is not None else 'no answer'}): "
            "SECURITY_KEYS differ between the rooms, or it does not reach S3.",
        )
        yield _threads(name, server)


def _threads(name: str, server: str) -> Check:
    told = get(f"http://{server}/metrics", "text/plain")
    found = re.search(r"^thumbstack_render_capacity (\d+)", told.text, re.MULTILINE) if told is not None else None
    if not found:
        return Check(f"{name}: threads", Verdict.UNKNOWN, "It does not tell how many renders go on at a time.")
    return ok(
        f"{name}: threads",
        int(found[1]) > 0,
        f"{found[1]} renders at a time, beside what answers.",
        "ENGINE_THREADPOOL_SIZE is 0: one slow render stops everything.",
    )
