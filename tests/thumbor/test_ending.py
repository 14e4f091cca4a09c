"""A process that outgrew its memory begins again, and nobody who asks meanwhile notices; and what a stop cuts off."""

import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests

if TYPE_CHECKING:
    from tests.thumbor.conftest import S3, Thumbors, WaitUntil


def test_an_outgrown_process_begins_again_and_no_request_fails(
    thumbors: "Thumbors", s3: "S3", wait_until: "WaitUntil", coffee: bytes
) -> None:
    # With a limit that nobody keeps to, every process begins again after its first answer.
    thumbor = thumbors.start({**s3.environment(), "MAX_RESIDENT_BYTES": "1"})
    picture = s3.put(coffee, "jpg")
    sizes = [f"{width}x20" for width in range(20, 36)]

    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda size: thumbor.get(picture, size).status_code, sizes))

    assert answers == [200] * len(sizes)
    assert thumbor.process.poll() is None
    assert thumbor.log.read_text().count("outgrown: ") >= 3
    # Those that were on their way to S3 when it was time were waited for.
    wait_until(lambda: sorted(s3.results(picture)) == sorted(f"{size}.jpg" for size in sizes))


def test_a_process_that_is_told_to_stop_meanwhile_stops(
    thumbors: "Thumbors", s3: "S3", wait_until: "WaitUntil", coffee: bytes
) -> None:
    thumbor = thumbors.start({**s3.environment(), "MAX_RESIDENT_BYTES": "1"}, '\nENGINE = "held_engine"\n')
    picture, other = s3.put(coffee, "jpg"), s3.put(b"no picture", "jpg")

    with ThreadPoolExecutor() as client:
        held = client.submit(thumbor.get, picture, "60x40")
        thumbor.wait_for_a_render()
        assert thumbor.get(other, "60x40").status_code == 422
        wait_until(lambda: "outgrown: " in thumbor.log.read_text())
        thumbor.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "Caught signal: 15" in thumbor.log.read_text())
        thumbor.open_gate()
        assert held.result().status_code == 200

    assert thumbor.process.wait(60) == 0


def test_a_process_within_its_limit_goes_on(thumbors: "Thumbors", s3: "S3", coffee: bytes) -> None:
    thumbor = thumbors.start({**s3.environment(), "MAX_RESIDENT_BYTES": str(4 << 30)})

    thumbor.rendered(s3, s3.put(coffee, "jpg"), "60x40")

    assert "outgrown" not in thumbor.log.read_text()


def test_a_wrong_limit_stops_the_boot_and_is_named(thumbors: "Thumbors", s3: "S3") -> None:
    with pytest.raises(AssertionError, match="MAX_RESIDENT_BYTES is wrong"):
        thumbors.start({**s3.environment(), "MAX_RESIDENT_BYTES": "much"})


def test_what_takes_longer_than_a_stop_may_is_cut_off_without_a_word(
    thumbors: "Thumbors", s3: "S3", wait_until: "WaitUntil", coffee: bytes
) -> None:
    thumbor = thumbors.start({**s3.environment(), "STOP_SECONDS": "0"}, '\nENGINE = "held_engine"\n')

    with ThreadPoolExecutor() as client:
        answer = client.submit(thumbor.get, s3.put(coffee, "jpg"), "60x40")
        thumbor.wait_for_a_render()
        thumbor.process.send_signal(signal.SIGTERM)
        # An answer, whatever it says, would be passed on; without one nginx asks the next process.
        wait_until(lambda: "Caught signal: 15" in thumbor.log.read_text())
        thumbor.open_gate()
        with pytest.raises(requests.ConnectionError):
            answer.result()

    assert thumbor.process.wait(60) == 0


def test_requests_that_come_after_a_stop_find_the_door_closed(
    thumbors: "Thumbors", s3: "S3", wait_until: "WaitUntil", coffee: bytes
) -> None:
    thumbor = thumbors.start(s3.environment(), '\nENGINE = "held_engine"\n')

    with ThreadPoolExecutor() as client:
        answer = client.submit(thumbor.get, s3.put(coffee, "jpg"), "60x40")
        thumbor.wait_for_a_render()
        thumbor.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "Caught signal: 15" in thumbor.log.read_text())
        with pytest.raises(requests.ConnectionError):
            thumbor.get(s3.put(coffee, "jpg"), "60x40")
        thumbor.open_gate()
        assert answer.result().status_code == 200

    assert thumbor.process.wait(60) == 0
