"""cf_template.yaml, read: what a linter does not look for, and which call each right of the instances is for.

The way in is looked at in test_template_way_in.py.
"""

import base64
import itertools
import json
import re
import string
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.environments import ROOT, python_of
from tests.deploy.template import TEMPLATE, listed, of_type, plain, values

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
    # Two of a kind, of which the one is tried below.
    for one, other in (("SubnetACIDRBlock", "SubnetBCIDRBlock"), ("DomainName", "OriginName")):
        assert parameters[one]["AllowedPattern"] == parameters[other]["AllowedPattern"]
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
        (
            "CertificateArn",
            ["", f"arn:aws:acm:eu-west-1:{'1' * 12}:certificate/ab-1"],
            [f"arn:aws:iam:eu-west-1:{'1' * 12}:certificate/ab-1", "pictures.example.com"],
        ),
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


# --- Instances.


def test_credentials_are_had_by_token_only_and_by_containers_too(resources: Any) -> None:
    data = resources["LaunchTemplate"]["Properties"]["LaunchTemplateData"]

    assert data["MetadataOptions"] == {
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 2,
        "HttpEndpoint": "enabled",
    }
    assert "KeyName" not in data


def test_an_instances_disk_is_the_machine_images_own_encrypted_and_goes_with_it(template: Any, resources: Any) -> None:
    (disk,) = resources["LaunchTemplate"]["Properties"]["LaunchTemplateData"]["BlockDeviceMappings"]

    assert template["Parameters"]["ImageId"]["Default"] == "/aws/service/debian/release/13/latest/amd64"
    # So Debian calls its root; under another name there were a second disk, and the first one small and open.
    assert disk["DeviceName"] == "/dev/xvda"
    assert disk["Ebs"]["Encrypted"] is True
    assert disk["Ebs"]["DeleteOnTermination"] is True


def test_user_data_is_short_and_fits(resources: Any) -> None:
    text = resources["LaunchTemplate"]["Properties"]["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Sub"][0]

    assert len(text.splitlines()) < 20
    assert len(base64.b64encode(text.encode())) < 12_000
    # All that the script is handed, it takes.
    handed = set(re.findall(r"\b([A-Z][A-Z0-9_]+)=", text)) - {"ID", "S", "AWS_DEFAULT_REGION", "DEBIAN_FRONTEND"}
    assert "TRUSTED_PROXIES=${VPCCIDRBlock}\n" in text
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
    assert update["MaxBatchSize"] == 1
    # Not suspended, these start or end others meanwhile; with Launch, Terminate or AddToLoadBalancer it never ends.
    assert set(update["SuspendProcesses"]) == {
        *("HealthCheck", "ReplaceUnhealthy", "AZRebalance", "AlarmNotification", "ScheduledActions", "InstanceRefresh")
    }
    signal = group["CreationPolicy"]["ResourceSignal"]
    assert signal["Count"] == {"Ref": "MinSize"}
    assert update["PauseTime"] == signal["Timeout"]
    assert iso_seconds(signal["Timeout"]) == group["Properties"]["HealthCheckGracePeriod"]
    assert group["Properties"]["HealthCheckType"] == "ELB"
    assert group["Properties"]["LaunchTemplate"]["Version"] == {"Fn::GetAtt": ["LaunchTemplate", "LatestVersionNumber"]}


def test_an_instance_starts_when_it_has_a_way_out_and_its_rights(resources: Any) -> None:
    waits = set(listed(resources["InstanceGroup"]["DependsOn"]))

    assert waits >= {"RouteOut", "SubnetARoutes", "SubnetBRoutes", "S3Endpoint", "InstancePolicy"}
    # What says which commit runs says it when it does.
    assert listed(resources["CommitParameter"]["DependsOn"]) == ["InstanceGroup"]
    # It begins with what SSM does not keep for itself, whatever the stack is called.
    assert resources["CommitParameter"]["Properties"]["Name"] == {"Fn::Sub": "/thumbstack/${AWS::StackName}/commit"}


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
    requests = policies["ScaleOnRequests"]["TargetTrackingConfiguration"]["PredefinedMetricSpecification"]
    assert requests["ResourceLabel"] == {
        "Fn::Sub": "${LoadBalancer.LoadBalancerFullName}/${TargetGroup.TargetGroupFullName}"
    }
    # The dashboard shows how many there are.
    assert resources["InstanceGroup"]["Properties"]["MetricsCollection"] == [{"Granularity": "1Minute"}]


BALANCER = {"LoadBalancer": {"Fn::GetAtt": ["LoadBalancer", "LoadBalancerFullName"]}}
TARGETS = {"TargetGroup": {"Fn::GetAtt": ["TargetGroup", "TargetGroupFullName"]}}
OURS = {"Stack": {"Ref": "AWS::StackName"}}
MORE, LESS = "GreaterThanThreshold", "LessThanThreshold"


@pytest.mark.parametrize(
    ("alarm", "metric", "of", "statistic", "is_"),
    [
        ("InstancesAnswerErrors", "AWS/ApplicationELB HTTPCode_Target_5XX_Count", BALANCER, "Sum", MORE),
        ("LoadBalancerAnswersErrors", "AWS/ApplicationELB HTTPCode_ELB_5XX_Count", BALANCER, "Sum", MORE),
        ("InstancesAreUnhealthy", "AWS/ApplicationELB UnHealthyHostCount", BALANCER | TARGETS, "Maximum", MORE),
        ("AnswersAreSlow", "AWS/ApplicationELB TargetResponseTime", BALANCER, "p95", MORE),
        ("RendersQueue", "Thumbstack RenderLoad", OURS, "Average", MORE),
        ("FewAnswersAreCached", "Thumbstack EdgeHitRatio", OURS, "Average", LESS),
        ("DisksAreFull", "Thumbstack DiskUsed", OURS, "Maximum", MORE),
        (
            "CertificateEnds",
            "AWS/CertificateManager DaysToExpiry",
            {"CertificateArn": {"Ref": "CertificateArn"}},
            "Minimum",
            LESS,
        ),
    ],
)
def test_an_alarm_looks_at_a_number_that_there_is(
    resources: Any, alarm: str, metric: str, of: dict[str, Any], statistic: str, is_: str
) -> None:
    # Of another name, or of other dimensions, there would never be one, and missing ones are no alarm.
    found = resources[alarm]["Properties"]

    assert f"{found['Namespace']} {found['MetricName']}" == metric
    assert {one["Name"]: one["Value"] for one in found["Dimensions"]} == of
    assert found.get("Statistic", found.get("ExtendedStatistic")) == statistic
    assert found["ComparisonOperator"] == is_
    assert found["TreatMissingData"] == "notBreaching"


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

    for scaled in values(of_type(resources, "AWS::AutoScaling::ScalingPolicy"), "CustomizedMetricSpecification"):
        assert scaled["Dimensions"] == [{"Name": "Stack", "Value": {"Ref": "AWS::StackName"}}]
    assert '[{"Name": "Stack", "Value": os.environ["STACK"]}]' in publish
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


def test_a_transcoder_reads_the_originals_and_runs_its_jobs(resources: Any) -> None:
    statements = resources["Transcoder"]["Properties"]["PolicyDocument"]["Statement"]
    granted = {(action, plain(one["Resource"])) for one in statements for action in listed(one["Action"])}

    assert resources["Transcoder"]["Condition"] == "HasTranscoder"
    assert {resource for action, resource in granted if action == "s3:GetObject"} == {"PicturesBucket/o/*"}
    assert {action.partition(":")[0] for action, _ in granted if action != "s3:GetObject"} == {"mediaconvert"}


def test_secrets_are_long_and_of_letters_that_need_no_quotes(resources: Any) -> None:
    for made in values(of_type(resources, "AWS::SecretsManager::Secret"), "GenerateSecretString"):
        # Of 64 letters 43 are as good as 256 bits.
        assert made["PasswordLength"] >= 43
        assert set(string.punctuation) - set(made["ExcludeCharacters"]) == {"-", "_"}


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
    # Else all that was published would be paid for twice, for the month that old versions are kept.
    assert rules["PicturesBucket", "incoming"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
    assert rules["PicturesBucket", "old-versions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert rules["PicturesBucket", "old-versions"]["Prefix"] == "o/"
    # Nothing but what waits, and old versions, ever goes from among the originals by itself.
    assert [r["Prefix"] for (b, _), r in rules.items() if b == "PicturesBucket" and "ExpirationInDays" in r] == [
        "incoming/"
    ]
    assert rules["ResultsBucket", "results"]["ExpirationInDays"] == 90
    assert rules["ResultsBucket", "notices"]["ExpirationInDays"] == 30
    assert rules["WebsiteBucket", "variants"]["ExpirationInDays"] == 30
    assert all(rule["Status"] == "Enabled" for rule in rules.values())


def test_no_two_rules_of_a_lifecycle_are_for_the_same_object(resources: Any) -> None:
    kinds = {
        "ExpirationInDays": "Expiration",
        "ExpiredObjectDeleteMarker": "Expiration",
        "NoncurrentVersionExpiration": "NoncurrentVersionExpiration",
        "AbortIncompleteMultipartUpload": "AbortIncompleteMultipartUpload",
    }
    for name, bucket in of_type(resources, "AWS::S3::Bucket").items():
        prefixes: dict[str, list[str]] = {}
        for rule in bucket["LifecycleConfiguration"]["Rules"]:
            for kind in {kinds[key] for key in rule if key in kinds}:
                prefixes.setdefault(kind, []).append(rule.get("Prefix", ""))
        # With `Prefix` S3 may refuse that: "Found overlapping prefixes for same action type".
        meeting = [
            (kind, one, other)
            for kind, found in prefixes.items()
            for one, other in itertools.permutations(found, 2)
            if one.startswith(other)
        ]
        assert meeting == [], name


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
