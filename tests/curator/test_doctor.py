"""What the doctor finds in buckets; a whole service is examined in tests/stack/test_keeping.py."""

import io
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta, tzinfo
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.exceptions import ClientError
from PIL import Image

from s3.serve import make_buckets
from tests.curator.conftest import PICTURES, RESULTS, WEBSITE, Curator, Storage
from tests.deploy import template


@pytest.fixture
def patient(curator: Curator, storage: Storage) -> Iterator[Curator]:
    """The curator, where there is a website bucket; the buckets are as they were afterwards."""
    yield Curator({**curator.variables, "WEBSITE_BUCKET": WEBSITE})
    for bucket in (PICTURES, RESULTS):
        with suppress(ClientError):
            storage.client().delete_bucket_policy(Bucket=bucket)
    make_buckets(storage.client(), PICTURES, RESULTS, WEBSITE)


def examined(curator: Curator, **more: str) -> dict[str, tuple[str, str]]:
    """Verdict and sentence of each check; whether all is well is what the exit code says."""
    done = curator("doctor", "--json", **more)
    told = json.loads(done.out)
    checks = {check["name"]: (check["verdict"], check["told"]) for check in told["checks"]}
    wrong = any(verdict == "wrong" for verdict, _ in checks.values())
    assert (done.code, told["well"]) == (int(wrong), not wrong), done
    return checks


def wrong(checks: dict[str, tuple[str, str]]) -> set[str]:
    """The checks that say so."""
    return {name for name, (verdict, _) in checks.items() if verdict == "wrong"}


def test_buckets_as_they_are_made_are_well(patient: Curator) -> None:
    checks = examined(patient)

    assert wrong(checks) == set()
    # Nobody renders here, and no nginx is before it: left out is not well.
    assert {name for name, (verdict, _) in checks.items() if verdict == "not known"} == {"thumbor", "a picture's way"}


def test_buckets_with_the_rules_that_they_have_on_aws_are_well(patient: Curator, storage: Storage) -> None:
    resources = template.read()["Resources"]
    for bucket, name in ((PICTURES, "PicturesBucket"), (RESULTS, "ResultsBucket"), (WEBSITE, "WebsiteBucket")):
        given = resources[name]["Properties"]["LifecycleConfiguration"]["Rules"]
        rules = [as_s3_takes_it(rule) for rule in given]
        storage.client().put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})

    assert wrong(examined(patient)) == set()


def as_s3_takes_it(rule: dict[str, Any]) -> Any:
    """A rule of CloudFormation's in the words of S3."""
    names = {"ExpirationInDays": "Days", "ExpiredObjectDeleteMarker": "ExpiredObjectDeleteMarker"}
    expires = {name: rule[key] for key, name in names.items() if key in rule}
    kept = ("Status", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload")
    words: dict[str, Any] = {key: rule[key] for key in kept if key in rule}
    if expires:
        words["Expiration"] = expires
    return words | {"ID": rule["Id"], "Filter": {"Prefix": rule.get("Prefix", "")}}


def test_rules_that_are_missing_are_named(patient: Curator, storage: Storage) -> None:
    s3 = storage.client()
    s3.put_bucket_versioning(Bucket=PICTURES, VersioningConfiguration={"Status": "Suspended"})
    for bucket in (PICTURES, RESULTS, WEBSITE):
        s3.delete_bucket_lifecycle(Bucket=bucket)
    s3.put_bucket_cors(
        Bucket=PICTURES,
        CORSConfiguration={"CORSRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["PUT", "DELETE"]}]},
    )

    checks = examined(patient)

    names = {"pictures: versions", "pictures: rules", "results: rules", "website: rules", "pictures: pages"}
    assert wrong(checks) == names
    assert "curator clean" in checks["pictures: rules"][1]


def test_a_rule_that_expires_originals_is_an_alarm(patient: Curator, storage: Storage) -> None:
    rule = {"ID": "all", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 30}}
    storage.client().put_bucket_lifecycle_configuration(Bucket=PICTURES, LifecycleConfiguration={"Rules": [rule]})

    assert "pictures will be lost" in examined(patient)["pictures: rules"][1]


@pytest.mark.parametrize("bucket", [PICTURES, RESULTS])
def test_a_bucket_that_strangers_read_is_found(patient: Curator, storage: Storage, bucket: str) -> None:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    storage.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))

    checks = examined(patient)

    assert wrong(checks) == {"pictures: closed" if bucket == PICTURES else "results: closed"}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "S3 refuses these credentials"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"}, "no credentials"),
        ({"S3_ENDPOINT": "http://127.0.0.1:1"}, "S3 cannot be reached"),
        ({"PICTURES_BUCKET": "no-such-bucket"}, "There is no such bucket"),
    ],
)
def test_buckets_that_cannot_be_used_are_told_with_what_to_do(
    patient: Curator, variables: dict[str, str], said: str
) -> None:
    checks = examined(patient, **variables)

    verdict, told = checks["bucket PICTURES_BUCKET"]
    assert verdict == "wrong"
    assert said in told
    assert checks["a picture's way"] == ("not known", "Left out: the buckets come first.")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"SECURITY_KEYS": ""}, "SECURITY_KEYS is not set"),
        ({"SECURITY_KEYS": "x" * 40}, "easily guessed"),
        ({"OPEN_APP": ""}, "Nobody may upload"),
        ({"PRESETS_FILE": "/dev/null/none"}, "PRESETS_FILE is wrong"),
    ],
)
def test_settings_that_are_wrong_are_named(patient: Curator, variables: dict[str, str], said: str) -> None:
    checks = examined(patient, **variables)

    assert any(said in told for verdict, told in checks.values() if verdict == "wrong")


def test_the_table_has_a_line_for_each(patient: Curator) -> None:
    done = patient("doctor")

    assert done.code == 0
    assert "pictures: versions" in done.out
    assert done.out.endswith("wrong: 0, not known: 2\n")


class _Careless(BaseHTTPRequestHandler):
    """A service that takes and renders whatever it is asked for, on its side and as JPEG, and deletes nothing."""

    def do_GET(self) -> None:
        out = io.BytesIO()
        Image.new("RGB", (16, 8)).save(out, "JPEG")
        self._answer(200, b"thumbstack_render_capacity 0\n" if self.path == "/metrics" else out.getvalue())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        key = "o/demo/thumbstack-doctor/1763600000_0123456789abcdef.jpg"
        self._answer(201, json.dumps({"pictures": [{"key": key}]}).encode())

    def do_DELETE(self) -> None:
        self._answer(200, b"{}")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("Server", "Thumbor/7.7.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_a_service_that_refuses_nothing_fails_every_check(patient: Curator) -> None:
    # A stub: nothing of ours can be set up to be wrong in all of these.
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Careless)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{server.server_port}"

    checks = examined(patient, THUMBOR_SERVERS=address, EDGE_SERVER=address)

    server.shutdown()
    server.server_close()
    of_thumbor = {f"thumbor {address}: {name}" for name in ("signatures", "keys", "threads", "version")}
    of_all = {"thumbnails", "orientation", "edge cache", "bounds", "bombs", "delete"}
    assert wrong(checks) == of_thumbor | of_all
    assert "ALLOW_UNSAFE_URL" in checks[f"thumbor {address}: signatures"][1]
    assert "SECURITY_KEYS must not hold" in checks[f"thumbor {address}: signatures"][1]


@pytest.mark.parametrize(("seconds", "verdict"), [(0, "ok"), (50, "ok"), (70, "wrong"), (-900, "wrong")])
def test_a_clock_that_is_off_is_found(
    patient: Curator, monkeypatch: pytest.MonkeyPatch, seconds: int, verdict: str
) -> None:
    class Clock(datetime):
        """This machine's, which nobody may set for a test."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + timedelta(seconds=seconds)

    monkeypatch.setattr("curator.bucket_checks.datetime", Clock)

    assert examined(patient)["clock"][0] == verdict
