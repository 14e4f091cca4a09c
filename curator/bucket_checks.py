"""Are the buckets there, closed to strangers, and with the rules that they need? And is the clock S3's?"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config as BotoConfig

from curator.check import NOBODYS, Check, Verdict, asked, ok, untold
from curator.config import Config
from curator.room import Room

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# S3 refuses signatures that are 15 minutes off; notices and links that end bear less.
_MAX_SKEW_SECONDS = 60
# What S3 says where it has nothing of the kind.
_NONE = ("NoSuchLifecycleConfiguration", "NoSuchCORSConfiguration", "NoSuchBucketPolicy")


def bucket_checks(room: Room) -> Iterator[Check]:
    """The checks, one after the other; a bucket that is not there has no more."""
    config, client = room.config, room.buckets.client
    buckets = {"PICTURES_BUCKET": config.pictures_bucket, "RESULTS_BUCKET": config.results_bucket}
    if config.website_bucket:
        buckets["WEBSITE_BUCKET"] = config.website_bucket
    date = ""
    there = {}
    for variable, bucket in buckets.items():
        problem, answer = asked(partial(client.head_bucket, Bucket=bucket))
        yield ok(f"bucket {variable}", not problem, "It is there, and these credentials may list it.", problem)
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
        yield _expiry(client, "results: rules", results, _expires("o/", "notices/"))
    if website := there.get("WEBSITE_BUCKET"):
        yield _expiry(client, "website: rules", website, _expires("m/"))
    for variable, bucket in there.items():
        yield _closed(config, variable, bucket)


def _clock(date: str) -> Check:
    try:
        skew = abs((datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds())
    except ValueError:
        return untold("clock", "no Date")
    return ok(
        "clock",
        skew <= _MAX_SKEW_SECONDS,
        f"{skew:.0f} s beside S3's.",
        f"It is {skew:.0f} s beside S3's: set it (chrony, systemd-timesyncd), or S3 will refuse signatures.",
    )


def _versioning(client: "S3Client", bucket: str) -> Check:
    name = "pictures: versions"
    code, answer = asked(lambda: client.get_bucket_versioning(Bucket=bucket))
    if code:
        return untold(name, code)
    return ok(
        name,
        answer.get("Status") == "Enabled",
        "Kept: what is deleted can be restored.",
        "Not kept: what is deleted is lost. Turn on the bucket's versioning.",
    )


def _versions_may_be_listed(client: "S3Client", bucket: str) -> Check:
    name = "pictures: restore"
    code, _ = asked(lambda: client.list_object_versions(Bucket=bucket, Prefix="o/", MaxKeys=1))
    if code:
        return Check(
            name, Verdict.UNKNOWN, f"These credentials may not list old versions: `restore` takes others ({code})."
        )
    return Check(name, Verdict.OK, "Old versions can be listed.")


def _expiry(client: "S3Client", name: str, bucket: str, problem_of: Callable[[list[Any]], str]) -> Check:
    code, answer = asked(lambda: client.get_bucket_lifecycle_configuration(Bucket=bucket))
    if code and code not in _NONE:
        return untold(name, code)
    rules = [rule for rule in (answer or {}).get("Rules", ()) if rule["Status"] == "Enabled"]
    problem = problem_of(rules)
    return ok(name, not problem, "What is old is removed by the bucket itself.", problem)


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


def _expires(*prefixes: str) -> Callable[[list[Any]], str]:
    """Whether one rule is for all, or each of these has its own, as on AWS (cf_template.yaml)."""

    def problem(rules: list[Any]) -> str:
        expired = {_prefix(rule) for rule in rules if "Days" in rule.get("Expiration", {})}
        if "" in expired or expired.issuperset(prefixes):
            return ""
        return "No rule removes what is old (30 days): it grows for ever, and notices with it."

    return problem


def _cors(client: "S3Client", bucket: str) -> Check:
    name = "pictures: pages"
    code, answer = asked(lambda: client.get_bucket_cors(Bucket=bucket))
    if code == "NoSuchCORSConfiguration":
        return Check(name, Verdict.OK, "No page may post to the bucket itself; through /direct they may.")
    if code:
        return untold(name, code)
    rules = answer.get("CORSRules", [])
    methods = {method for rule in rules for method in rule["AllowedMethods"]}
    origins = sorted({origin for rule in rules for origin in rule["AllowedOrigins"]})
    return ok(
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
    code, _ = asked(lambda: stranger.list_objects_v2(Bucket=bucket, MaxKeys=1))
    if not code:
        return Check(name, Verdict.WRONG, "Anybody may list it: block public access, and take the policy or ACL away.")
    if variable == "WEBSITE_BUCKET":
        return Check(name, Verdict.OK, "Nobody may list it without credentials; its variants are for everybody.")
    # A key of nobody's: S3 says 404 only to those who may read.
    code, _ = asked(lambda: stranger.get_object(Bucket=bucket, Key=str(NOBODYS)))
    return ok(
        name,
        code not in ("", "NoSuchKey", "404"),
        "Nobody may list or read it without credentials.",
        "Anybody may read it: block public access, and take the policy or ACL away.",
    )
