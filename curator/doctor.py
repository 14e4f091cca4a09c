"""Is the installation as it should be? Each check is a sentence, and what to do where the answer is no."""

import io
import json
import re
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
import click
import requests
from botocore import UNSIGNED
from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from PIL import Image
from pydantic import ValidationError
from rich import box
from rich.console import Console
from rich.table import Table

from curator.config import Config
from curator.flags import Flags, flags
from curator.room import Room
from thumbstack.options import MAX_SIDE
from thumbstack.picture_key import PictureKey, folder_prefix
from thumbstack.refusal import Refused
from thumbstack.signing import signed_path

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_EPILOG = """\b
Examples:
  curator doctor                 a table; ends with 1 where something is wrong
  curator doctor --json | jq '.checks[] | select(.verdict != "ok")'

\b
It uploads a picture of its own, has it rendered, and deletes it again. 'not known' is what the storage does not tell,
or not to these credentials: that is no fault, and no all-clear.
"""
_PATIENCE_SECONDS = 60
# S3 refuses signatures that are 15 minutes off; notices and links that end bear less.
_MAX_SKEW_SECONDS = 60
# Of 7.8.0: https://github.com/thumbor/thumbor/releases
_SAFE_THUMBOR = (7, 8)
# Thumbor's own default key, which everybody knows.
_KNOWN_KEY = "MY_SECURE_KEY"
_NOBODYS = PictureKey("thumbstack-doctor", "nobodys", "1_none.jpg")


class Verdict(StrEnum):
    """What a check comes to."""

    OK = "ok"
    WRONG = "wrong"
    UNKNOWN = "not known"


@dataclass(frozen=True)
class Check:
    """One line of the table."""

    name: str
    verdict: Verdict
    told: str


@click.command(epilog=_EPILOG)
@flags("json")
def doctor(flags: Flags) -> None:
    """Check the settings, the buckets and their rules, the clock, Thumbor's limits, and one picture's whole way.

    It ends with 0 where nothing is wrong, and with 1 where something is.
    """
    checks = list(_all())
    if flags.json:
        click.echo(json.dumps({"well": _is_well(checks), "checks": [asdict(check) for check in checks]}))
    else:
        _show(checks)
    sys.exit(0 if _is_well(checks) else 1)


def _is_well(checks: Iterable[Check]) -> bool:
    return not any(check.verdict is Verdict.WRONG for check in checks)


def _show(checks: list[Check]) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("check", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("")
    colours = {Verdict.OK: "green", Verdict.WRONG: "bold red", Verdict.UNKNOWN: "yellow"}
    for check in checks:
        table.add_row(check.name, f"[{colours[check.verdict]}]{check.verdict}[/]", check.told)
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    counted = {verdict: sum(check.verdict is verdict for check in checks) for verdict in Verdict}
    click.echo(", ".join(f"{verdict}: {number}" for verdict, number in counted.items()))


def _all() -> Iterator[Check]:
    try:
        config = Config.load()
    except ValidationError as error:
        for told in Config.problems(error):
            yield Check("settings", Verdict.WRONG, told)
        return
    yield from _settings(config)
    room = Room(config)
    reached = True
    for check in _storage(room):
        reached &= check.verdict is not Verdict.WRONG or "bucket" not in check.name
        yield check
    yield from _thumbor(config)
    if reached:
        yield from Picture(room).checks()
    else:
        yield Check("a picture's way", Verdict.UNKNOWN, "Left out: the buckets come first.")


def _ok(name: str, is_ok: bool, told: str, otherwise: str) -> Check:
    return Check(name, Verdict.OK, told) if is_ok else Check(name, Verdict.WRONG, otherwise)


def _settings(config: Config) -> Iterator[Check]:
    yield Check("settings", Verdict.OK, "All variables can be read.")
    weak = [key for key in config.security_keys if len(set(key)) < 12]
    yield _ok(
        "security keys",
        not weak and len(set(config.security_keys)) == len(config.security_keys),
        f"{len(config.security_keys)}, the first signs.",
        "One of SECURITY_KEYS is easily guessed, or is there twice: make one with `openssl rand -hex 32`.",
    )
    apps = sorted({pair.app for pair in config.api_keys})
    told = f"Apps with keys: {', '.join(apps) or 'none'}."
    if config.open_app:
        told += f" Anybody may use {config.open_app} (OPEN_APP): right on a laptop only."
    yield _ok("API keys", bool(apps or config.open_app), told, "Nobody may upload: `make keys APP=...`, then API_KEYS.")
    presets = config.presets()
    yield Check("presets", Verdict.OK, f"{', '.join(presets)}: all are options that Thumbor takes.")


def _storage(room: Room) -> Iterator[Check]:
    config, client = room.config, room.buckets.client
    buckets = {"PICTURES_BUCKET": config.pictures_bucket, "RESULTS_BUCKET": config.results_bucket}
    if config.website_bucket:
        buckets["WEBSITE_BUCKET"] = config.website_bucket
    date = ""
    there = {}
    for variable, bucket in buckets.items():
        problem, answer = _asked(partial(client.head_bucket, Bucket=bucket))
        yield _ok(f"bucket {variable}", not problem, "It is there, and these credentials may list it.", problem)
        if not problem:
            there[variable] = bucket
            date = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
    if not there:
        return
    yield _clock(date)
    if pictures := there.get("PICTURES_BUCKET"):
        yield _versioning(client, pictures)
        yield _versions_may_be_listed(client, pictures)
        yield _expiry(client, "pictures: rules", pictures, _keeps_pictures_tidy)
        yield _cors(client, pictures)
    if results := there.get("RESULTS_BUCKET"):
        yield _expiry(client, "results: rules", results, _expires_all)
    if website := there.get("WEBSITE_BUCKET"):
        yield _expiry(client, "website: rules", website, _expires_all)
    for variable, bucket in there.items():
        yield _closed(config, variable, bucket)


# What S3 says where it has nothing of the kind, and where it does not tell.
_NONE = ("NoSuchLifecycleConfiguration", "NoSuchCORSConfiguration", "NoSuchBucketPolicy")


def _asked(call: Callable[[], Any]) -> tuple[str, Any]:
    """What is wrong, in a sentence; empty, and the answer, where nothing is."""
    try:
        return "", call()
    except NoCredentialsError:
        return (
            "There are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the instance a role.",
            None,
        )
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        sentences = {
            "404": "There is no such bucket: make it, or correct the name.",
            "NoSuchBucket": "There is no such bucket: make it, or correct the name.",
            "403": "S3 refuses these credentials: are they right, and may they use and list this bucket?",
            "400": "S3 does not understand the request: is AWS_REGION the bucket's?",
            "301": "The bucket is in another region: set AWS_REGION.",
        }
        return sentences.get(code, code), None
    except BotoCoreError as error:
        return f"S3 cannot be reached ({type(error).__name__}): S3_ENDPOINT, the network.", None


def _untold(name: str, code: str) -> Check:
    return Check(name, Verdict.UNKNOWN, f"The storage does not tell it, or not to these credentials ({code}).")


def _clock(date: str) -> Check:
    try:
        skew = abs((datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds())
    except ValueError:
        return _untold("clock", "no Date")
    return _ok(
        "clock",
        skew <= _MAX_SKEW_SECONDS,
        f"{skew:.0f} s beside S3's.",
        f"It is {skew:.0f} s beside S3's: set it (chrony, systemd-timesyncd), or S3 will refuse signatures.",
    )


def _versioning(client: "S3Client", bucket: str) -> Check:
    name = "pictures: versions"
    code, answer = _asked(lambda: client.get_bucket_versioning(Bucket=bucket))
    if code:
        return _untold(name, code)
    return _ok(
        name,
        answer.get("Status") == "Enabled",
        "Kept: what is deleted can be restored.",
        "Not kept: what is deleted is lost. Turn on the bucket's versioning.",
    )


def _versions_may_be_listed(client: "S3Client", bucket: str) -> Check:
    name = "pictures: restore"
    code, _ = _asked(lambda: client.list_object_versions(Bucket=bucket, Prefix="o/", MaxKeys=1))
    if code:
        return Check(
            name, Verdict.UNKNOWN, f"These credentials may not list old versions: `restore` takes others ({code})."
        )
    return Check(name, Verdict.OK, "Old versions can be listed.")


def _expiry(client: "S3Client", name: str, bucket: str, problem_of: Callable[[list[Any]], str]) -> Check:
    code, answer = _asked(lambda: client.get_bucket_lifecycle_configuration(Bucket=bucket))
    if code and code not in _NONE:
        return _untold(name, code)
    rules = [rule for rule in (answer or {}).get("Rules", ()) if rule["Status"] == "Enabled"]
    problem = problem_of(rules)
    return _ok(name, not problem, "What is old is removed by the bucket itself.", problem)


def _prefix(rule: Any) -> str:
    found = rule.get("Filter", {})
    prefix: str = found.get("Prefix") or found.get("And", {}).get("Prefix") or rule.get("Prefix") or ""
    return prefix


def _keeps_pictures_tidy(rules: list[Any]) -> str:
    if any("Days" in rule.get("Expiration", {}) and not _prefix(rule).startswith("incoming/") for rule in rules):
        return "A rule expires originals: restrict it to incoming/, or pictures will be lost."
    if not any("Days" in rule.get("Expiration", {}) for rule in rules):
        return "No rule removes what waits under incoming/: set one of a day, or run `curator clean` daily."
    if not any("NoncurrentVersionExpiration" in rule for rule in rules):
        return "No rule removes old versions: what is deleted is paid for for ever."
    return ""


def _expires_all(rules: list[Any]) -> str:
    if not any("Days" in rule.get("Expiration", {}) and not _prefix(rule) for rule in rules):
        return "No rule removes what is old (30 days): it grows for ever, and notices with it."
    return ""


def _cors(client: "S3Client", bucket: str) -> Check:
    name = "pictures: pages"
    code, answer = _asked(lambda: client.get_bucket_cors(Bucket=bucket))
    if code == "NoSuchCORSConfiguration":
        return Check(name, Verdict.OK, "No page may post to the bucket itself; through /direct they may.")
    if code:
        return _untold(name, code)
    rules = answer.get("CORSRules", [])
    methods = {method for rule in rules for method in rule["AllowedMethods"]}
    origins = sorted({origin for rule in rules for origin in rule["AllowedOrigins"]})
    return _ok(
        name,
        methods <= {"POST", "GET", "HEAD"},
        f"Pages of {', '.join(origins)} may {', '.join(sorted(methods))}.",
        f"CORS allows {', '.join(sorted(methods))}: POST is enough for upload tickets.",
    )


def _closed(config: Config, variable: str, bucket: str) -> Check:
    """Whether strangers are kept out: tried, and not only read."""
    name = f"{variable.partition('_')[0].lower()}: closed"
    stranger = boto3.client(
        "s3",
        endpoint_url=config.s3_endpoint or None,
        region_name=config.aws_region,
        config=BotoConfig(
            signature_version=UNSIGNED, connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1}
        ),
    )
    code, _ = _asked(lambda: stranger.list_objects_v2(Bucket=bucket, MaxKeys=1))
    if not code:
        return Check(name, Verdict.WRONG, "Anybody may list it: block public access, and take the policy or ACL away.")
    if variable == "WEBSITE_BUCKET":
        return Check(name, Verdict.OK, "Nobody may list it without credentials; its variants are for everybody.")
    # A key of nobody's: S3 says 404 only to those who may read.
    code, _ = _asked(lambda: stranger.get_object(Bucket=bucket, Key=str(_NOBODYS)))
    return _ok(
        name,
        code not in ("", "NoSuchKey", "404"),
        "Nobody may list or read it without credentials.",
        "Anybody may read it: block public access, and take the policy or ACL away.",
    )


def _get(url: str, accept: str = "image/jpeg") -> requests.Response | None:
    try:
        return requests.get(url, headers={"Accept": accept}, timeout=_PATIENCE_SECONDS)
    except requests.RequestException:
        return None


def _thumbor(config: Config) -> Iterator[Check]:
    """What runs is asked, not what a file says."""
    if not config.thumbor_servers:
        yield Check("thumbor", Verdict.UNKNOWN, "THUMBOR_SERVERS is not set: there is nobody to ask.")
        return
    for server in config.thumbor_servers:
        name, health = f"thumbor {server}", _get(f"http://{server}/healthcheck")
        if health is None or not health.ok:
            yield Check(name, Verdict.WRONG, "It does not answer: its log says why.")
            continue
        yield Check(name, Verdict.OK, "It answers.")
        # 404 would be the answer of who had looked for the picture.
        refused = {
            "ALLOW_UNSAFE_URL must be off: it renders what nobody signed.": f"/unsafe/10x10/{_NOBODYS}",
            "SECURITY_KEYS must not hold Thumbor's default, which everybody knows.": signed_path(
                _NOBODYS, "10x10", _KNOWN_KEY
            ),
        }
        opened = [
            told
            for told, path in refused.items()
            if (got := _get(f"http://{server}{path}")) is None or got.status_code != 400
        ]
        yield _ok(f"{name}: signatures", not opened, "Only signed addresses are rendered.", " ".join(opened))
        known = _get(f"http://{server}{signed_path(_NOBODYS, '10x10', config.security_keys[0])}")
        yield _ok(
            f"{name}: keys",
            known is not None and known.status_code == 404,
            "It has the key that signs here.",
            f"It does not take what is signed here ({known.status_code if known is not None else 'no answer'}): "
            "SECURITY_KEYS differ between the rooms, or it does not reach S3.",
        )
        yield _threads(name, server)


def _threads(name: str, server: str) -> Check:
    told = _get(f"http://{server}/metrics", "text/plain")
    found = re.search(r"^thumbstack_render_capacity (\d+)", told.text, re.MULTILINE) if told is not None else None
    if not found:
        return Check(f"{name}: threads", Verdict.UNKNOWN, "It does not tell how many renders go on at a time.")
    return _ok(
        f"{name}: threads",
        int(found[1]) > 0,
        f"{found[1]} renders at a time, beside what answers.",
        "ENGINE_THREADPOOL_SIZE is 0: one slow render stops everything.",
    )


class Picture:
    """A picture of the doctor's own: up, shown in every format, down, and nothing is left."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._config = room.config
        self._name = f"thumbstack-doctor-{secrets.token_hex(6)}"
        pair = next(iter(self._config.api_keys), None)
        self._app = self._config.open_app or (pair.app if pair else "")
        key = "" if self._config.open_app or pair is None else pair.private_key
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._address = f"http://{self._config.edge_server}"

    def checks(self) -> Iterator[Check]:
        """Each step; what was uploaded is deleted whatever comes between."""
        if not self._config.edge_server:
            yield Check("a picture's way", Verdict.UNKNOWN, "EDGE_SERVER is not set: no picture was uploaded.")
            return
        prefix = folder_prefix(self._app, self._name)
        try:
            uploaded = self._upload()
            if isinstance(uploaded, str):
                yield Check("upload", Verdict.WRONG, uploaded)
                return
            yield Check("upload", Verdict.OK, "A picture was taken in and stored.")
            picture = PictureKey.parse(uploaded["key"])
            assert picture is not None  # noqa: S101 - the answer of our own room
            yield from self._shown(picture)
            yield from self._versions(picture)
            yield from self._bounds(picture)
            yield self._bomb(picture)
            yield self._delete(picture)
            yield self._left(prefix)
        except Refused as refusal:
            yield Check("a picture's way", Verdict.WRONG, refusal.sentence)
        finally:
            with suppress(requests.RequestException):
                requests.delete(
                    self._address, params={"name": self._name}, headers=self._headers, timeout=_PATIENCE_SECONDS
                )
            self._forget_versions(prefix)

    def _upload(self) -> dict[str, Any] | str:
        """The entry of what was uploaded, or what is wrong."""
        try:
            answer = requests.post(
                f"{self._address}/",
                files={"file": (f"{self._name}.jpg", _turned())},
                headers=self._headers,
                timeout=_PATIENCE_SECONDS,
            )
            told: dict[str, Any] = answer.json()
        except (requests.RequestException, ValueError):
            return "The service does not answer at EDGE_SERVER: is nginx up?"
        if answer.status_code != 201:
            return f"{answer.status_code}: {told.get('error', 'no reason')}"
        entry: dict[str, Any] = told["pictures"][0]
        return entry

    def _shown(self, picture: PictureKey) -> Iterator[Check]:
        options = "fit-in/16x16/filters:quality(90)"
        path = self._address + signed_path(picture, options, self._config.security_keys[0])
        wrong = []
        upright = None
        for accept, kind in (("image/avif", "AVIF"), ("image/webp", "WEBP"), ("image/jpeg", "JPEG")):
            answer = _get(path, accept)
            if answer is None or not answer.ok:
                wrong.append(f"{accept}: {answer.status_code if answer is not None else 'no answer'}")
                continue
            with Image.open(io.BytesIO(answer.content)) as image:
                upright = image.height > image.width if upright in (None, True) else upright
                if image.format != kind:
                    wrong.append(f"{accept}: {image.format}")
        yield _ok(
            "thumbnails",
            not wrong,
            "AVIF, WebP and JPEG, each to who takes it.",
            f"{', '.join(wrong)}: AUTO_AVIF and AUTO_WEBP, and the Accept header on its way to Thumbor.",
        )
        if upright is not None:
            yield _ok(
                "orientation",
                upright,
                "Phones' photographs stand upright.",
                "Photographs lie on their side: RESPECT_ORIENTATION.",
            )
        again = _get(path, "image/webp")
        cached = again.headers.get("X-Cache", "none") if again is not None else "no answer"
        yield _ok("edge cache", cached == "HIT", "The second request was a hit.", f"X-Cache is {cached}: EDGE_CACHE.")

    def _versions(self, picture: PictureKey) -> Iterator[Check]:
        """Thumbor tells its version with what it renders, and with nothing else."""
        for server in self._config.thumbor_servers:
            answer = _get(f"http://{server}{signed_path(picture, '16x16', self._config.security_keys[0])}")
            found = re.search(
                r"Thumbor/(\d+)\.(\d+)\S*", answer.headers.get("Server", "") if answer is not None else ""
            )
            name = f"thumbor {server}: version"
            if not found:
                yield Check(name, Verdict.UNKNOWN, "It does not tell its version.")
                continue
            is_safe = (int(found[1]), int(found[2])) >= _SAFE_THUMBOR
            yield _ok(name, is_safe, f"{found[0]}.", f"{found[0]} has known holes: 7.8.0 or newer.")

    def _bounds(self, picture: PictureKey) -> Iterator[Check]:
        foreign = "http%3A//127.0.0.1%3A1/a.jpg"
        asked = {
            f"{MAX_SIDE + 1}x10": "A side of more than 4096 pixels",
            f"16x16/filters:watermark({foreign},0,0,0)": "A watermark of another host",
        }
        let = []
        for options, told in asked.items():
            answer = _get(self._address + signed_path(picture, options, self._config.security_keys[0]))
            if answer is None or not 400 <= answer.status_code < 500:
                let.append(f"{told} is not refused.")
        yield _ok("bounds", not let, "Sides above 4096 pixels and pictures of other hosts are refused.", " ".join(let))

    def _bomb(self, picture: PictureKey) -> Check:
        """A picture of more pixels than may be decoded, past the uploads' firewall."""
        if not self._config.thumbor_servers:
            return Check("bombs", Verdict.UNKNOWN, "THUMBOR_SERVERS is not set.")
        bomb = PictureKey(picture.app, picture.folder, f"1_{secrets.token_hex(8)}.png")
        out = io.BytesIO()
        Image.new("1", (7000, 7000)).save(out, "PNG")
        client = self._room.buckets.client
        code, _ = _asked(
            lambda: client.put_object(
                Bucket=self._config.pictures_bucket, Key=str(bomb), Body=out.getvalue(), ContentType="image/png"
            )
        )
        if code:
            return Check("bombs", Verdict.WRONG, f"Nothing can be put into the bucket: {code}")
        path = signed_path(bomb, "10x10", self._config.security_keys[0])
        answer = _get(f"http://{self._config.thumbor_servers[0]}{path}")
        self._room.buckets.delete_pictures([str(bomb)])
        refused = answer is not None and 400 <= answer.status_code < 500
        return _ok("bombs", refused, "49 megapixels in 6 kB are not decoded.", "49 megapixels are decoded: MAX_PIXELS.")

    def _delete(self, picture: PictureKey) -> Check:
        path = self._address + signed_path(picture, "fit-in/16x16/filters:quality(90)", self._config.security_keys[0])
        try:
            answer = requests.delete(
                f"{self._address}/pictures/{picture}", headers=self._headers, timeout=_PATIENCE_SECONDS
            )
        except requests.RequestException:
            return Check("delete", Verdict.WRONG, "It was not answered.")
        after = _get(path, "image/webp")
        gone = after is not None and after.status_code in (404, 410)
        return _ok(
            "delete",
            answer.ok and gone,
            "It is gone at once, also from the cache.",
            f"DELETE answers {answer.status_code}, and then the picture "
            f"{after.status_code if after is not None else 'nothing'}: do nginx and uploader share TOMBSTONES?",
        )

    def _left(self, prefix: str) -> Check:
        buckets = self._room.buckets
        left = [
            *(one.key for one in buckets.files(prefix)),
            *buckets.result_keys(prefix),
            *buckets.variant_keys(prefix),
        ]
        return _ok("left over", not left, "Nothing, in no bucket.", f"{len(left)} objects under {prefix}")

    def _forget_versions(self, prefix: str) -> None:
        """Remove the old versions too, where that is allowed; else the bucket's rule does it in its time."""
        client, bucket = self._room.buckets.client, self._config.pictures_bucket
        with suppress(BotoCoreError, ClientError):
            found = client.list_object_versions(Bucket=bucket, Prefix=prefix)
            for one in (*found.get("Versions", ()), *found.get("DeleteMarkers", ())):
                client.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])


def _turned() -> bytes:
    """A photograph as a phone stores it that was held upright: it lies on its side, and says so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    Image.effect_noise((96, 48), 60).convert("RGB").save(out, "JPEG", exif=exif)
    return out.getvalue()
