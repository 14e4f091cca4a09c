"""SIGTERM: while a picture is being rendered, and when there is nothing left to do."""

import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.thumbor.conftest import S3, Thumbors, WaitUntil


def test_the_client_gets_its_picture_and_the_process_ends_well(
    thumbors: "Thumbors", s3: "S3", wait_until: "WaitUntil", coffee: bytes
) -> None:
    thumbor = thumbors.start(s3.environment(), '\nENGINE = "held_engine"\n')
    picture = s3.put(coffee, "jpg")

    with ThreadPoolExecutor() as client:
        answer = client.submit(thumbor.get, picture, "60x40")
        thumbor.wait_for_a_render()
        thumbor.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "Caught signal: 15" in thumbor.log.read_text())
        thumbor.open_gate()
        assert answer.result().status_code == 200

    assert thumbor.process.wait(60) == 0
    log = thumbor.log.read_text()
    assert '"rendered"' in log
    assert "Error" not in log
    assert s3.results(picture) == ["60x40.jpg"]


def test_a_process_that_talked_to_s3_ends_without_complaint(thumbors: "Thumbors", s3: "S3", coffee: bytes) -> None:
    thumbor = thumbors.start({**s3.environment(), "STOP_SECONDS": "1"})
    thumbor.rendered(s3, s3.put(coffee, "jpg"), "60x40")

    thumbor.process.send_signal(signal.SIGTERM)

    assert thumbor.process.wait(60) == 0
    last = thumbor.log.read_text().splitlines()[-1]
    assert "Caught signal: 15" in last
