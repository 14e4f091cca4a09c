"""cf_template.yaml, read: the way in, from CloudFront to the port of an instance. As deployed: test_way_in.py."""

import json
import re
import subprocess
from typing import Any

import pytest

from tests.deploy.environments import ROOT
from tests.deploy.template import listed, of_type, plain, values


def test_only_the_load_balancer_is_open_and_nothing_at_port_22(resources: Any) -> None:
    groups = of_type(resources, "AWS::EC2::SecurityGroup")
    world = {
        (name, rule["FromPort"])
        for name, group in groups.items()
        for rule in group["SecurityGroupIngress"]
        if rule.get("CidrIp") == "0.0.0.0/0"
    }
    rules = [
        rule for group in groups.values() for rule in (*group["SecurityGroupIngress"], *group["SecurityGroupEgress"])
    ]

    assert world == {("LoadBalancerAccess", 80), ("LoadBalancerAccess", 443), ("LoadBalancerAccess", 5000)}
    assert groups["InstanceAccess"]["SecurityGroupIngress"] == [
        {
            "IpProtocol": "tcp",
            "FromPort": 5000,
            "ToPort": 5000,
            "SourceSecurityGroupId": {"Ref": "LoadBalancerAccess"},
            "Description": "nginx",
        }
    ]
    for rule in rules:
        assert rule["IpProtocol"] == "tcp"
        assert 0 < rule["FromPort"] <= rule["ToPort"] < 65536
        assert not rule["FromPort"] <= 22 <= rule["ToPort"]


def test_security_groups_are_described_in_the_letters_that_ec2_takes(resources: Any) -> None:
    for group in of_type(resources, "AWS::EC2::SecurityGroup").values():
        for words in (group["GroupDescription"], *values(group, "Description")):
            # No apostrophe, for example; cfn-lint does not look at rules.
            assert re.fullmatch(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}", words)


def test_what_must_go_out_may(resources: Any) -> None:
    groups = of_type(resources, "AWS::EC2::SecurityGroup")

    def outwards(name: str) -> list[Any]:
        rules = groups[name]["SecurityGroupEgress"]
        return [(rule["FromPort"], rule["ToPort"], rule["CidrIp"]) for rule in rules]

    port = resources["TargetGroup"]["Properties"]["Port"]
    assert outwards("LoadBalancerAccess") == [(port, port, {"Ref": "VPCCIDRBlock"})]
    # AWS, the registry and S3; Debian's packages.
    assert outwards("InstanceAccess") == [(443, 443, "0.0.0.0/0"), (80, 80, "0.0.0.0/0")]
    assert port == groups["InstanceAccess"]["SecurityGroupIngress"][0]["FromPort"] == 5000


def test_the_network_leads_out_and_to_s3(resources: Any) -> None:
    assert resources["S3Endpoint"]["Properties"]["RouteTableIds"] == [{"Ref": "Routes"}]
    # The load balancer is found by its names, and instances have no NAT gateway.
    assert resources["Network"]["Properties"]["EnableDnsHostnames"] is True
    assert "EnableDnsSupport" not in resources["Network"]["Properties"]
    assert all(one["MapPublicIpOnLaunch"] is True for one in of_type(resources, "AWS::EC2::Subnet").values())


def test_health_is_asked_of_nginx_alone_and_answered_in_time(resources: Any) -> None:
    group = resources["TargetGroup"]["Properties"]
    interval, timeout = group["HealthCheckIntervalSeconds"], group["HealthCheckTimeoutSeconds"]
    times = group["UnhealthyThresholdCount"]

    assert group["HealthCheckPath"] == "/healthz"
    # AWS's own bounds.
    assert 5 <= interval <= 300
    assert 2 <= timeout < interval
    assert 2 <= times <= 10
    # One that died just after a check is asked no more by then (docs/aws.md), and one that is only busy stays.
    assert times * interval + timeout < 20
    assert (times - 1) * interval + timeout > 10


def test_whoever_writes_logs_by_acl_may_and_does_not_stop_an_update(resources: Any) -> None:
    # Not by a condition: S3 refuses BucketOwnerEnforced for a bucket whose ACL names CloudFront, once it was there.
    assert resources["LogsBucket"]["Properties"]["OwnershipControls"] == {
        "Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]
    }
    assert "LogsBucketPolicy" in listed(resources["LoadBalancer"]["DependsOn"])
    assert "LogsBucketPolicy" in listed(resources["Distribution"]["DependsOn"])
    logging = resources["Distribution"]["Properties"]["DistributionConfig"]["Logging"]
    assert logging["Bucket"] == {"Fn::GetAtt": ["LogsBucket", "DomainName"]}


def test_the_load_balancer_may_write_its_log_just_where_it_does(resources: Any) -> None:
    balancer = {a["Key"]: a["Value"] for a in resources["LoadBalancer"]["Properties"]["LoadBalancerAttributes"]}
    statements = resources["LogsBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    (allowed,) = (one for one in statements if one["Effect"] == "Allow")

    # Else it cannot be made at all: it tries.
    prefix = balancer["access_logs.s3.prefix"]
    assert allowed["Principal"] == {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
    assert plain(allowed["Resource"]) == f"LogsBucket/{prefix}/AWSLogs/${{AWS::AccountId}}/*"


def test_tls_is_of_today(resources: Any) -> None:
    listeners = of_type(resources, "AWS::ElasticLoadBalancingV2::Listener")
    policies = {policy for name in ("ServiceListener", "TlsListener") for policy in texts(listeners[name]["SslPolicy"])}

    assert policies - {"HasCertificate", "AWS::NoValue"} == {"ELBSecurityPolicy-TLS13-1-2-2021-06"}


def texts(tree: Any) -> list[str]:
    """All strings at the leaves."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    return [text for item in tree for text in texts(item)] if isinstance(tree, list) else [tree]


def test_nothing_is_cut_off_when_an_instance_goes(resources: Any) -> None:
    patience = re.search(r"worker_shutdown_timeout (\d+)s", (ROOT / "nginx/nginx.conf").read_text())
    attributes = {a["Key"]: a["Value"] for a in resources["TargetGroup"]["Properties"]["TargetGroupAttributes"]}
    balancer = {a["Key"]: a["Value"] for a in resources["LoadBalancer"]["Properties"]["LoadBalancerAttributes"]}

    assert patience
    assert int(attributes["deregistration_delay.timeout_seconds"]) > int(patience[1])
    # nginx's own keepalive_timeout is 75 s where nobody says otherwise.
    assert "keepalive_timeout" not in "".join(path.read_text() for path in (ROOT / "nginx").rglob("*.conf"))
    assert int(balancer["idle_timeout.timeout_seconds"]) < 75
    assert balancer["access_logs.s3.enabled"] == "true"
    assert balancer["routing.http.drop_invalid_header_fields.enabled"] == "true"


def test_no_listener_lets_anybody_past_but_by_a_rule_and_with_the_cdn_only_who_brings_its_key(
    template: Any, resources: Any
) -> None:
    listeners = of_type(resources, "AWS::ElasticLoadBalancingV2::Listener")
    rules = {name: one for name, one in resources.items() if one["Type"].endswith("::ListenerRule")}
    key = {"Fn::Sub": "{{resolve:secretsmanager:${OriginKey}:SecretString}}"}

    for name, listener in listeners.items():
        (action,) = listener["DefaultActions"]
        if "Fn::If" in action:
            condition, redirect, action = action["Fn::If"]
            assert (condition, redirect["RedirectConfig"]["Protocol"]) == ("HasCertificate", "HTTPS")
        assert action["Type"] == "fixed-response"
        assert json.loads(action["FixedResponseConfig"]["MessageBody"]).keys() == {"error", "code"}
        assert name in {rule["Properties"]["ListenerArn"]["Ref"] for rule in rules.values()}
    for rule in rules.values():
        (condition,) = rule["Properties"]["Conditions"]
        if_cdn, brings_key, everybody = condition["Fn::If"]
        assert if_cdn == "HasCdn"
        assert brings_key["HttpHeaderConfig"] == {"HttpHeaderName": "X-Origin-Key", "Values": [key]}
        assert everybody == {"Field": "path-pattern", "PathPatternConfig": {"Values": ["*"]}}
        assert rule["Properties"]["Actions"] == [{"Type": "forward", "TargetGroupArn": {"Ref": "TargetGroup"}}]
    # With a certificate port 80 has none: nothing goes past the redirect.
    assert rules["PlainRule"]["Condition"] == "HasNoCertificate"
    distribution = resources["Distribution"]["Properties"]["DistributionConfig"]
    assert distribution["Origins"][0]["OriginCustomHeaders"] == [{"HeaderName": "X-Origin-Key", "HeaderValue": key}]


def test_who_needs_the_target_group_waits_until_a_rule_leads_to_it(resources: Any) -> None:
    # Before, a target is `unused` and never found well, and a policy on requests per target is refused.
    assert "Condition" not in resources["ServiceRule"]
    for name in ("InstanceGroup", "ScaleOnRequests"):
        assert "ServiceRule" in listed(resources[name]["DependsOn"])


def test_the_cdn_forgets_a_deleted_picture_within_the_promised_minute(resources: Any) -> None:
    notices = (ROOT / "thumbstack/notices.py").read_text()
    poll = re.search(r"^POLL_SECONDS = (\d+)$", notices, re.MULTILINE)
    policy = resources["PictureCachePolicy"]["Properties"]["CachePolicyConfig"]
    distribution = resources["Distribution"]["Properties"]["DistributionConfig"]

    assert poll
    # Two caches one behind the other: an edge's and its region's. Of ten seconds left over, a listing takes some.
    assert int(poll[1]) + 2 * policy["MaxTTL"] <= 50
    assert policy["MinTTL"] == 0
    # A third one, which is optional, would need its share.
    assert all("OriginShield" not in origin for origin in distribution["Origins"])


def test_the_cdn_asks_by_the_name_that_the_load_balancers_certificate_has(resources: Any) -> None:
    config = resources["Distribution"]["Properties"]["DistributionConfig"]
    all_but_host = "b689b0a8-53d0-40ab-baf2-68738e2966ac"  # AWS's AllViewerExceptHostHeader

    behaviours = [config["DefaultCacheBehavior"], *config["CacheBehaviors"]]
    assert {one.get("OriginRequestPolicyId", all_but_host) for one in behaviours} == {all_but_host}
    forwarded = resources["PictureCachePolicy"]["Properties"]["CachePolicyConfig"][
        "ParametersInCacheKeyAndForwardedToOrigin"
    ]
    assert forwarded["HeadersConfig"]["Headers"] == ["Accept"]


def test_the_cdn_caches_pictures_and_nothing_else(resources: Any) -> None:
    config = resources["Distribution"]["Properties"]["DistributionConfig"]
    nothing = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"  # AWS's CachingDisabled

    def policy(path: str) -> Any:
        for behaviour in config["CacheBehaviors"]:
            pattern = re.escape(behaviour["PathPattern"]).replace(r"\*", ".*")
            if re.fullmatch(pattern, path):
                return behaviour["CachePolicyId"]
        return config["DefaultCacheBehavior"]["CachePolicyId"]

    pictures = {"Ref": "PictureCachePolicy"}
    key = "o/shop/cat/1_ab.jpg"
    for path in ("/", "/sign", "/readyz", "/pictures", f"/pictures/{key}"):
        assert policy(path) == nothing
    for path in (f"/{key}", f"/t/MI/u/{key}", f"/abc=/300x200/{key}", f"/e/1/2/3/x/{key}", f"/website/m/{key}/v.jpg"):
        assert policy(path) == pictures
    # What goes on is asked for at once again, and no error is kept for the ten seconds that CloudFront keeps them.
    kept = {error["ErrorCode"]: error["ErrorCachingMinTTL"] for error in config["CustomErrorResponses"]}
    assert kept == dict.fromkeys((403, 404, 500, 502, 503, 504), 0)
    (cached,) = of_type(resources, "AWS::CloudFront::CachePolicy").values()
    asked = cached["CachePolicyConfig"]["ParametersInCacheKeyAndForwardedToOrigin"]
    assert asked["QueryStringsConfig"] == {"QueryStringBehavior": "whitelist", "QueryStrings": ["v"]}


def test_the_cdn_speaks_tls_with_browsers_and_with_a_load_balancer_that_can(resources: Any) -> None:
    config = resources["Distribution"]["Properties"]["DistributionConfig"]
    behaviours = [config["DefaultCacheBehavior"], *config["CacheBehaviors"]]
    origin = config["Origins"][0]["CustomOriginConfig"]

    assert {one["ViewerProtocolPolicy"] for one in behaviours} <= {"redirect-to-https", "https-only"}
    assert origin["OriginProtocolPolicy"] == {"Fn::If": ["HasCertificate", "https-only", "http-only"]}
    assert origin["OriginSSLProtocols"] == ["TLSv1.2"]


def test_two_regions_may_have_a_stack_of_the_same_name(resources: Any) -> None:
    # All other names are a region's, or AWS makes them.
    named = {
        "AcceptFolding": resources["AcceptFolding"]["Properties"]["Name"],
        "PictureCachePolicy": resources["PictureCachePolicy"]["Properties"]["CachePolicyConfig"]["Name"],
        "Dashboard": resources["Dashboard"]["Properties"]["DashboardName"],
    }

    assert all("${AWS::StackName}" in name["Fn::Sub"] for name in named.values())
    assert {name for name, one in named.items() if "${AWS::Region}" not in one["Fn::Sub"]} == set()


# What nginx makes of the same: tests/nginx/test_accept.py.
@pytest.mark.parametrize(
    ("accept", "folded"),
    [
        (None, "image/*"),
        ("*/*", "image/*"),
        ("image/avif,image/webp,image/apng,image/*,*/*;q=0.8", "image/avif"),
        ("image/webp,*/*", "image/webp"),
        ("IMAGE/AVIF ; q=0.5", "image/avif"),
        ("image/avif;q=0, image/webp", "image/webp"),
        ("image/avif;q=0.0,image/webp; q = 0", "image/*"),
        ("image/avif;q=0.01", "image/avif"),
        ("image/avifx, text/image/webp", "image/*"),
    ],
)
@pytest.mark.usefixtures("node")
def test_the_cdn_folds_accept_as_nginx_does(resources: Any, accept: str | None, folded: str) -> None:
    code = resources["AcceptFolding"]["Properties"]["FunctionCode"]
    headers = {"accept": {"value": accept}} if accept is not None else {}

    assert run_function(code, headers) == {"accept": {"value": folded}}


def run_function(code: str, headers: Any) -> Any:
    """What the function makes of the headers, in Node; its language is a part of ours there."""
    script = f"{code}\nconsole.log(JSON.stringify(handler({{request: {{headers: {json.dumps(headers)}}}}}).headers))"
    node = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True)
    return json.loads(node.stdout)
