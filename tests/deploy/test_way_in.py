"""The way in as deployed: the emulator's load balancer and CloudFront go by the rules of the stack. Behind them is a
server that tells what reached it, because here nothing else is asked; the real rooms are behind them in test_boot.py
and in tests/stack/test_behind_aws.py.
"""

import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.deploy.emulator import REGION, Aws, WayIn, running

CERTIFICATE = f"arn:aws:acm:{REGION}:000000000000:certificate/1"
PICTURE = "o/shop/cat/1_ab.jpg"


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with what was asked."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        told = {"method": self.command, "path": self.path, "headers": headers, "body": body.decode()}
        self.send_response(200)
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - http.server's own names

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with running(tmp_path_factory.mktemp("aws") / "ministack.log", auth=False) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def origin() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def plain(aws: Aws, origin: int) -> WayIn:
    return WayIn(aws, origin, "plain")


@pytest.fixture(scope="module")
def cdn(aws: Aws, origin: int) -> WayIn:
    return WayIn(aws, origin, "cdn", Cdn="true")


def test_the_load_balancer_passes_everything_on_as_it_came(plain: WayIn) -> None:
    answer = plain.ask(plain.balancer, f"/t/MI/u/{PICTURE}?v=a%2Fb", headers={"Accept": "image/avif"})

    told = answer.json()
    assert (told["method"], told["path"]) == ("GET", f"/t/MI/u/{PICTURE}?v=a%2Fb")
    assert told["headers"]["accept"] == "image/avif"
    assert "x-forwarded-for" in told["headers"]
    assert plain.ask(plain.balancer, "/", "POST", data="x" * 100_000).json()["body"] == "x" * 100_000


def test_with_a_certificate_port_80_only_shows_the_way_to_443(aws: Aws, origin: int) -> None:
    tls = WayIn(aws, origin, "tls", CertificateArn=CERTIFICATE, DomainName="pictures.example.com")

    answer = tls.ask(tls.balancer, f"/{PICTURE}", headers={"X-Forwarded-Port": "80"})

    assert answer.status_code == 301
    assert answer.headers["Location"].startswith("https://")
    listeners = aws.client("elbv2").describe_listeners(LoadBalancerArn=tls.resources["LoadBalancer"])["Listeners"]
    assert {(one["Port"], one["Protocol"]) for one in listeners} == {(80, "HTTP"), (443, "HTTPS"), (5000, "HTTPS")}


def test_behind_the_cdn_the_load_balancer_refuses_who_does_not_bring_its_key(cdn: WayIn) -> None:
    direct = cdn.ask(cdn.balancer, f"/{PICTURE}")
    guessed = cdn.ask(cdn.balancer, f"/{PICTURE}", headers={"X-Origin-Key": "guess"})

    assert (direct.status_code, guessed.status_code) == (403, 403)
    assert direct.json() == {"error": "Ask at the address of the CDN.", "code": "forbidden"}


def through(cdn: WayIn, path: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Any:
    answer = cdn.ask(
        cdn.cdn, path, method, {"X-Forwarded-Proto": "https", **(headers or {})}, data="body" * (method != "GET")
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.usefixtures("node")
def test_the_cdn_comes_through_and_folds_accept_for_pictures(cdn: WayIn) -> None:
    browsers = "image/avif,image/webp,image/apng,image/*,*/*;q=0.8"

    told = through(cdn, f"/t/MI/u/{PICTURE}", headers={"Accept": browsers})

    assert told["path"] == f"/t/MI/u/{PICTURE}"
    assert told["headers"]["accept"] == "image/avif"
    assert through(cdn, f"/{PICTURE}", headers={"Accept": "text/html"})["headers"]["accept"] == "image/*"


def test_the_cdn_passes_the_rest_of_the_api_on_whole(cdn: WayIn) -> None:
    headers = {"Authorization": "Bearer key", "Accept": "application/json", "Origin": "https://shop.example"}

    for method, path in (("POST", "/"), ("DELETE", "/?name=cat"), ("POST", "/sign"), ("GET", f"/pictures/{PICTURE}")):
        told = through(cdn, path, method, headers)
        assert (told["method"], told["path"]) == (method, path)
        assert {told["headers"][name.lower()] for name in headers} == set(headers.values())
    refused = cdn.ask(cdn.cdn, f"/{PICTURE}", "POST", {"X-Forwarded-Proto": "https"})
    assert refused.status_code == 403


def test_the_cdn_shows_who_comes_without_tls_the_way(cdn: WayIn) -> None:
    answer = cdn.ask(cdn.cdn, f"/{PICTURE}", headers={"X-Forwarded-Proto": "http"})

    assert (answer.status_code, answer.headers["Location"]) == (301, f"https://{cdn.cdn}/{PICTURE}")


def test_the_cdn_is_as_deployed(aws: Aws, cdn: WayIn) -> None:
    cloudfront = aws.client("cloudfront")
    config = cloudfront.get_distribution_config(Id=cdn.resources["Distribution"])["DistributionConfig"]
    policy = cloudfront.get_cache_policy(Id=cdn.resources["PictureCachePolicy"])["CachePolicy"]["CachePolicyConfig"]

    (origin,) = config["Origins"]["Items"]
    assert origin["DomainName"] == cdn.balancer
    assert [header["HeaderName"] for header in origin["CustomHeaders"]["Items"]] == ["X-Origin-Key"]
    assert [one["PathPattern"] for one in config["CacheBehaviors"]["Items"]] == ["/pictures/*", "/o/*", "/*/o/*"]
    assert config["Logging"]["Bucket"].startswith(cdn.resources["LogsBucket"])
    assert (policy["MinTTL"], policy["MaxTTL"]) == (0, 15)
    assert policy["ParametersInCacheKeyAndForwardedToOrigin"]["HeadersConfig"]["Headers"]["Items"] == ["Accept"]


def test_the_cdn_can_be_switched_on_and_off_again(aws: Aws, origin: int) -> None:
    way_in = WayIn(aws, origin, "switched")

    def refused() -> bool:
        return way_in.ask(way_in.balancer, f"/{PICTURE}").status_code == 403

    for wanted in ("true", "false"):
        _, complaint = aws.update("switched", Cdn=wanted, CommitID="a" * 40)
        assert not complaint
        assert refused() == (wanted == "true")
        assert ("Distribution" in aws.resources("switched")) == (wanted == "true")
    # The same load balancer, and nothing of the buckets was made anew.
    left = aws.resources("switched")
    assert {name: left[name] for name in way_in.resources} == way_in.resources
