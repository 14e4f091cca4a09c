"""cf_template.yaml, read: what a linter does not look for, and which call each right of the instances is for."""

import base64
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cfnlint.decode
import pytest

from tests.deploy.environments import ROOT, python_of

TEMPLATE = ROOT / "cf_template.yaml"


@pytest.fixture(scope="module")
def template() -> Any:
    """The template as cfn-lint understands it: !Ref X is {"Ref": "X"}."""
    found, problems = cfnlint.decode.decode(str(TEMPLATE))
    assert not problems
    # Plain dictionaries and lists compare and print as such.
    return json.loads(json.dumps(found))


@pytest.fixture(scope="module")
def resources(template: Any) -> Any:
    return template["Resources"]


def of_type(resources: Any, kind: str) -> Mapping[str, Any]:
    """The properties of all resources of one type, by name."""
    return {name: one["Properties"] for name, one in resources.items() if one["Type"] == kind}


def values(tree: Any, key: str) -> Iterator[Any]:
    """All values under a key, at any depth."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            if name == key:
                yield value
            yield from values(value, key)
    elif isinstance(tree, list):
        for item in tree:
            yield from values(item, key)


# --- The whole.


def test_it_is_as_cloudformation_takes_it() -> None:
    text = TEMPLATE.read_text()

    # It takes 51 200 bytes. The rest is for who must mend something in a hurry.
    assert len(text.encode()) < 50_000
    # Aliases are YAML, but CloudFormation refuses them.
    assert not re.search(r"^\s*[^#\s].*: [&*][a-z]+\s*$", text, re.MULTILINE)
    assert list(template_sections(text)) == [
        "AWSTemplateFormatVersion",
        "Description",
        "Metadata",
        "Parameters",
        "Rules",
        "Conditions",
        "Resources",
        "Outputs",
    ]


def template_sections(text: str) -> Iterator[str]:
    return (line.partition(":")[0] for line in text.splitlines() if re.match(r"[A-Z]", line))


def test_four_parameters_must_be_given_and_all_are_explained(template: Any) -> None:
    parameters = template["Parameters"]
    grouped = list(values(template["Metadata"], "Parameters"))

    assert {name for name, one in parameters.items() if "Default" not in one} == {
        "CommitID",
        "VPCCIDRBlock",
        "SubnetACIDRBlock",
        "SubnetBCIDRBlock",
    }
    assert sorted(name for group in grouped for name in group) == sorted(parameters)
    for one in parameters.values():
        assert one["Description"].endswith(".")
        assert ("ConstraintDescription" in one) == ("AllowedPattern" in one)


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        ("CommitID", ["0123456789abcdef" * 2 + "01234567"], ["", "main", "0123abc", "G" * 40, "a" * 41]),
        (
            "VPCCIDRBlock",
            ["10.0.0.0/16", "192.168.255.0/26"],
            ["10.0.0.0", "10.0.0.0/8", "10.0.0.0/27", "1.2.3.256/20"],
        ),
        # A load balancer wants a /27 at least.
        ("SubnetACIDRBlock", ["10.0.0.0/27"], ["10.0.0.0/28", "10.0.0/24", "10.0.0.0/240"]),
        ("ImageRepository", ["", "registry.example:5000/team/thumbstack"], ["Upper/case", "a/b/", "a b"]),
        ("DomainName", ["", "pictures.example.com"], ["https://pictures.example.com", "localhost", "a_b.example"]),
        ("CorsOrigins", ["", "*", "https://a.example http://b.example:8080"], ["a.example", "https://a.example,*"]),
        ("AlarmEmail", ["", "a@example.com"], ["a", "a@b", "a b@example.com"]),
        (
            "InstanceType",
            ["m6a.large", "c7i-flex.xlarge", "t3a.medium", "m5zn.metal"],
            ["m7g.large", "c6gn.xlarge", "is4gen.large", "a1.large", "large", "m6a"],
        ),
        ("AppName", ["shop"], ["", "Shop", "-shop", "a/b"]),
    ],
)
def test_a_parameter_takes_what_is_right_and_nothing_else(
    template: Any, parameter: str, good: list[str], bad: list[str]
) -> None:
    pattern = template["Parameters"][parameter]["AllowedPattern"]

    assert [value for value in good if not re.fullmatch(pattern, value)] == []
    assert [value for value in bad if re.fullmatch(pattern, value)] == []


def test_the_laptops_open_app_cannot_be_had() -> None:
    assert "OPEN_APP" not in TEMPLATE.read_text()
    assert "OPEN_APP" not in (ROOT / "deploy/instance/start").read_text()


# --- The way in.


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


def test_health_is_asked_of_nginx_alone_and_answered_in_time(resources: Any) -> None:
    group = resources["TargetGroup"]["Properties"]

    assert group["HealthCheckPath"] == "/healthz"
    assert group["HealthCheckTimeoutSeconds"] < group["HealthCheckIntervalSeconds"]


def test_whoever_writes_logs_by_acl_may_and_does_not_stop_an_update(resources: Any) -> None:
    # Not by a condition: S3 refuses BucketOwnerEnforced for a bucket whose ACL names CloudFront, once it was there.
    assert resources["LogsBucket"]["Properties"]["OwnershipControls"] == {
        "Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]
    }
    assert "LogsBucketPolicy" in listed(resources["LoadBalancer"]["DependsOn"])
    assert "LogsBucketPolicy" in listed(resources["Distribution"]["DependsOn"])


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
    assert {error["ErrorCachingMinTTL"] for error in config["CustomErrorResponses"]} == {0}


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
def test_the_cdn_folds_accept_as_nginx_does(resources: Any, accept: str | None, folded: str) -> None:
    code = resources["AcceptFolding"]["Properties"]["FunctionCode"]
    headers = {"accept": {"value": accept}} if accept is not None else {}

    assert run_function(code, headers) == {"accept": {"value": folded}}


def run_function(code: str, headers: Any) -> Any:
    """What the function makes of the headers, in Node; its language is a part of ours there."""
    script = f"{code}\nconsole.log(JSON.stringify(handler({{request: {{headers: {json.dumps(headers)}}}}}).headers))"
    node = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True)
    return json.loads(node.stdout)


# --- Instances.


def test_credentials_are_had_by_token_only_and_by_containers_too(resources: Any) -> None:
    data = resources["LaunchTemplate"]["Properties"]["LaunchTemplateData"]

    assert data["MetadataOptions"] == {
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 2,
        "HttpEndpoint": "enabled",
    }
    assert "KeyName" not in data
    assert all(disk["Ebs"]["Encrypted"] is True for disk in data["BlockDeviceMappings"])


def test_user_data_is_short_and_fits(resources: Any) -> None:
    text = resources["LaunchTemplate"]["Properties"]["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Sub"][0]

    assert len(text.splitlines()) < 20
    assert len(base64.b64encode(text.encode())) < 12_000
    # All that the script is handed, it takes.
    handed = set(re.findall(r"\b([A-Z][A-Z0-9_]+)=", text)) - {"ID", "S", "AWS_DEFAULT_REGION", "DEBIAN_FRONTEND"}
    script = (ROOT / "deploy/instance/start").read_text()
    assert {name for name in handed if not re.search(rf"(?<![A-Z_=]){name}\b", script)} == set()


def test_new_instances_are_well_before_old_ones_go(template: Any, resources: Any) -> None:
    group, parameters = resources["InstanceGroup"], template["Parameters"]
    update = group["UpdatePolicy"]["AutoScalingRollingUpdate"]

    assert update["WaitOnResourceSignals"] is True
    assert update["MinSuccessfulInstancesPercent"] == 100
    assert update["MinInstancesInService"] == {"Ref": "MinSize"}
    # Where they are equal no instance may be added, and an update cannot begin.
    assert parameters["MaxSize"]["Default"] > parameters["MinSize"]["Default"] >= 2
    # With these suspended an update never ends.
    assert not {"Launch", "Terminate", "AddToLoadBalancer"} & set(update["SuspendProcesses"])
    signal = group["CreationPolicy"]["ResourceSignal"]
    assert signal["Count"] == {"Ref": "MinSize"}
    assert update["PauseTime"] == signal["Timeout"]
    assert iso_seconds(signal["Timeout"]) == group["Properties"]["HealthCheckGracePeriod"]
    assert group["Properties"]["HealthCheckType"] == "ELB"
    assert group["Properties"]["LaunchTemplate"]["Version"] == {"Fn::GetAtt": ["LaunchTemplate", "LatestVersionNumber"]}


def iso_seconds(period: str) -> int:
    """PT15M as 900; 10M or P15M would be something else, or nothing."""
    found = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?", period)
    assert found
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + seconds


def test_it_scales_on_requests_on_processors_and_on_renders(resources: Any) -> None:
    policies = of_type(resources, "AWS::AutoScaling::ScalingPolicy")
    metrics = {
        name: one["TargetTrackingConfiguration"].get("PredefinedMetricSpecification", {}).get("PredefinedMetricType")
        or one["TargetTrackingConfiguration"]["CustomizedMetricSpecification"]["MetricName"]
        for name, one in policies.items()
    }

    assert set(metrics.values()) == {"ALBRequestCountPerTarget", "ASGAverageCPUUtilization", "RenderLoad"}


def test_what_is_watched_is_published(resources: Any) -> None:
    watched = {
        one["MetricName"]
        for one in (
            *of_type(resources, "AWS::CloudWatch::Alarm").values(),
            *values(of_type(resources, "AWS::AutoScaling::ScalingPolicy"), "CustomizedMetricSpecification"),
        )
        if one["Namespace"] == "Thumbstack"
    }
    shown = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"][0]
    publish = (ROOT / "deploy/instance/publish.py").read_text()

    assert watched == {"RenderLoad", "EdgeHitRatio", "DiskUsed"}
    assert all(f'"{metric}"' in publish and f'"{metric}"' in shown for metric in watched)
    json.loads(shown)


def test_every_alarm_tells_somebody_both_ways(resources: Any) -> None:
    alarms = of_type(resources, "AWS::CloudWatch::Alarm")

    assert set(alarms) == {
        "InstancesAnswerErrors",
        "LoadBalancerAnswersErrors",
        "InstancesAreUnhealthy",
        "AnswersAreSlow",
        "RendersQueue",
        "FewAnswersAreCached",
        "DisksAreFull",
        "CertificateEnds",
    }
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "Alarms"}]
        assert alarm["AlarmDescription"].endswith(".")
    (told,) = resources["InstanceGroup"]["Properties"]["NotificationConfigurations"]
    assert told["TopicARN"] == {"Ref": "Alarms"}
    assert "autoscaling:EC2_INSTANCE_LAUNCH_ERROR" in told["NotificationTypes"]


# --- Rights.

CALLS = {
    # action, and what it may be done to: the call it is for, in a file of ours.
    ("s3:ListBucket", "PicturesBucket"): ("thumbstack/buckets.py", "list_objects_v2"),
    ("s3:ListBucket", "ResultsBucket"): ("thumbstack/buckets.py", "head_bucket"),
    ("s3:ListBucket", "WebsiteBucket"): ("thumbstack/buckets.py", "variant_keys"),
    ("s3:GetObject", "PicturesBucket/o/*"): ("thumbstack/buckets.py", "download_path"),
    ("s3:PutObject", "PicturesBucket/o/*"): ("thumbstack/buckets.py", "put_object"),
    ("s3:DeleteObject", "PicturesBucket/o/*"): ("thumbstack/buckets.py", "delete_pictures"),
    ("s3:GetObject", "PicturesBucket/incoming/*"): ("thumbstack/buckets.py", "copy_object"),
    ("s3:PutObject", "PicturesBucket/incoming/*"): ("thumbstack/intake.py", "incoming"),
    ("s3:DeleteObject", "PicturesBucket/incoming/*"): ("uploader/incoming.py", "delete_pictures"),
    ("s3:GetObject", "ResultsBucket/o/*"): ("thumbor/result_storage.py", "storage.read"),
    ("s3:PutObject", "ResultsBucket/o/*"): ("thumbor/result_storage.py", "storage.store"),
    ("s3:DeleteObject", "ResultsBucket/o/*"): ("thumbor/result_storage.py", "storage.remove"),
    ("s3:GetObject", "ResultsBucket/notices/*"): ("thumbstack/notices.py", "buckets.notice("),
    ("s3:PutObject", "ResultsBucket/notices/*"): ("thumbstack/notices.py", "put_notice"),
    ("s3:GetObject", "WebsiteBucket/m/*"): ("thumbstack/buckets.py", "has_variant"),
    ("s3:PutObject", "WebsiteBucket/m/*"): ("thumbstack/buckets.py", "put_variant"),
    ("s3:DeleteObject", "WebsiteBucket/m/*"): ("thumbstack/buckets.py", "delete_variants"),
    ("secretsmanager:GetSecretValue", "SecurityKeys"): ("deploy/instance/start", "get-secret-value"),
    ("secretsmanager:GetSecretValue", "ApiKeys"): ("deploy/instance/start", "get-secret-value"),
    ("cloudformation:SignalResource", "AWS::StackId"): ("cf_template.yaml", "signal-resource"),
    ("logs:CreateLogStream", "log-group:LogGroup:log-stream:*"): ("deploy/instance/compose.aws.yaml", "awslogs"),
    ("logs:PutLogEvents", "log-group:LogGroup:log-stream:*"): ("deploy/instance/compose.aws.yaml", "awslogs"),
    ("ecr:BatchGetImage", "repository/thumbstack/*"): ("deploy/instance/start", "compose pull"),
    ("ecr:GetDownloadUrlForLayer", "repository/thumbstack/*"): ("deploy/instance/start", "compose pull"),
    ("ecr:GetAuthorizationToken", "*"): ("cf_template.yaml", "ecr get-login-password"),
    ("cloudwatch:PutMetricData", "*"): ("deploy/instance/publish.py", "put-metric-data"),
    ("elasticloadbalancing:DescribeTargetHealth", "*"): ("deploy/instance/start", "describe-target-health"),
    # The agent of Session Manager, which `start` installs.
    ("ssm:UpdateInstanceInformation", "*"): ("deploy/instance/start", "amazon-ssm-agent"),
    ("ssmmessages:CreateControlChannel", "*"): ("deploy/instance/start", "amazon-ssm-agent"),
    ("ssmmessages:CreateDataChannel", "*"): ("deploy/instance/start", "amazon-ssm-agent"),
    ("ssmmessages:OpenControlChannel", "*"): ("deploy/instance/start", "amazon-ssm-agent"),
    ("ssmmessages:OpenDataChannel", "*"): ("deploy/instance/start", "amazon-ssm-agent"),
}


def test_the_instances_have_the_rights_that_their_calls_need_and_no_more(resources: Any) -> None:
    (policy,) = of_type(resources, "AWS::IAM::Policy").values()
    role = resources["InstanceRole"]["Properties"]
    granted = {
        (action, plain(resource))
        for statement in policy["PolicyDocument"]["Statement"]
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }

    assert granted == CALLS.keys()
    assert "ManagedPolicyArns" not in role
    assert all(statement["Effect"] == "Allow" for statement in policy["PolicyDocument"]["Statement"])


@pytest.mark.parametrize(("right", "call"), CALLS.items(), ids=lambda pair: " ".join(pair))
def test_each_right_is_for_a_call(right: tuple[str, str], call: tuple[str, str]) -> None:
    file, words = call

    assert words in (ROOT / file).read_text(), right


def listed(one_or_more: Any) -> list[Any]:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


def plain(resource: Any) -> str:
    """A resource of the policy in short: what is before the interesting part is the same everywhere."""
    if isinstance(resource, dict):
        (value,) = resource.values()
        resource = value[0] if isinstance(value, list) else value
    resource = re.sub(r"^arn:\$\{AWS::Partition\}:[a-z]+:\$\{AWS::Region\}:\$\{AWS::AccountId\}:", "", resource)
    return re.sub(r"\$\{(\w+)(?:\.Arn)?\}", r"\1", resource)


# --- Buckets.


def test_originals_are_kept_and_what_can_be_made_again_is_not(resources: Any) -> None:
    buckets = {name: one for name, one in resources.items() if one["Type"] == "AWS::S3::Bucket"}

    assert {name: one["DeletionPolicy"] for name, one in buckets.items()} == {
        "PicturesBucket": "RetainExceptOnCreate",
        "ResultsBucket": "Delete",
        "WebsiteBucket": "Delete",
        # Not even on creation: it holds a load balancer's first word, and a creation that is taken back would end in
        # its deletion's failure.
        "LogsBucket": "Retain",
    }
    # The policy is what keeps strangers and plain HTTP out, so it stays where its bucket does.
    assert resources["PicturesBucketPolicy"]["DeletionPolicy"] == "RetainExceptOnCreate"
    for one in buckets.values():
        assert list(values(one, "SSEAlgorithm")) == ["AES256"]
    assert buckets["PicturesBucket"]["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}


def test_lifecycles_are_as_promised(resources: Any) -> None:
    rules = {
        (name, rule["Id"]): rule
        for name, bucket in of_type(resources, "AWS::S3::Bucket").items()
        for rule in bucket["LifecycleConfiguration"]["Rules"]
    }

    assert rules["PicturesBucket", "incoming"]["ExpirationInDays"] == 1
    assert rules["PicturesBucket", "incoming"]["Prefix"] == "incoming/"
    assert rules["PicturesBucket", "old-versions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    # Nothing but what waits, and old versions, ever goes from among the originals by itself.
    assert [r["Prefix"] for (b, _), r in rules.items() if b == "PicturesBucket" and "ExpirationInDays" in r] == [
        "incoming/"
    ]
    assert rules["ResultsBucket", "results"]["ExpirationInDays"] == 90
    assert rules["ResultsBucket", "notices"]["ExpirationInDays"] == 30
    assert rules["WebsiteBucket", "variants"]["ExpirationInDays"] == 30
    assert all(rule["Status"] == "Enabled" for rule in rules.values())


def test_only_the_websites_variants_are_for_everybody(resources: Any) -> None:
    public, tls_only = set(), set()
    for policy in of_type(resources, "AWS::S3::BucketPolicy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Effect"] == "Allow" and statement["Principal"] == "*":
                public.add((statement["Action"], plain(statement["Resource"])))
            if statement["Effect"] == "Deny":
                assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
                tls_only.add(policy["Bucket"]["Ref"])

    assert public == {("s3:GetObject", "WebsiteBucket/m/*")}
    # A website endpoint knows no TLS.
    assert tls_only == {"PicturesBucket", "ResultsBucket", "LogsBucket"}


def test_the_website_sends_who_misses_a_variant_to_the_service(resources: Any) -> None:
    rules = resources["WebsiteBucket"]["Properties"]["WebsiteConfiguration"]["RoutingRules"]

    assert {rule["RoutingRuleCondition"]["HttpErrorCodeReturnedEquals"] for rule in rules} == {"403", "404"}
    assert {rule["RoutingRuleCondition"]["KeyPrefixEquals"] for rule in rules} == {"m/"}
    # Not 301: browsers and CDNs keep it, and come back to it for ever.
    assert {rule["RedirectRule"]["HttpRedirectCode"] for rule in rules} == {"302"}


# --- Others' opinions.


def test_checkov_finds_nothing_but_what_we_have_reasons_for() -> None:
    reasons = (ROOT / ".checkov.yaml").read_text().partition("skip-check:\n")[2]
    command = [str(python_of("checkov")), "-m", "checkov.main", "--file", str(TEMPLATE), "--skip-download"]
    command += ["--framework", "cloudformation", "--compact", "--quiet", "--output", "json", "--soft-fail"]

    # Not from our root, whose .checkov.yaml it would obey.
    done = subprocess.run(command, cwd=ROOT.parent, capture_output=True, text=True, check=True)

    found = {one["check_id"] for one in json.loads(done.stdout)["results"]["failed_checks"]}
    # And no reason is kept for what it finds no more.
    assert found == set(re.findall(r"^  - (CKV\w+)$", reasons, re.MULTILINE))


# --- The script.


@pytest.mark.parametrize("checker", [["bash", "-n"], [".venv/bin/shellcheck", "--shell", "bash"]], ids=" ".join)
def test_user_data_as_rendered_is_sound(resources: Any, checker: list[str], tmp_path: Path) -> None:
    text = resources["LaunchTemplate"]["Properties"]["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Sub"][0]
    script = tmp_path / "user-data"
    script.write_text(re.sub(r"\$\{(?!!)[A-Za-z:.]+\}", "value", text).replace("${!", "${"))

    done = subprocess.run([*checker, str(script)], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
