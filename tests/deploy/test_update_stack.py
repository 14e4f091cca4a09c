"""The stack, really deployed: to an emulator of AWS that enforces rights, by `make update_stack`, and read back.

What the emulator does not play: waiting for the group's signals, instances, lifecycle rules, access logs, CloudFront's
caching (docs/aws.md).
"""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.exceptions import ClientError

from deploy.update_stack import TEMPLATE, Stack, StoppedError
from tests.deploy.emulator import IMAGE, NETWORK, REGION, Aws, running
from tests.deploy.environments import ROOT

COMMIT = "a" * 40
GIVEN = {"CommitID": COMMIT, "ImageId": IMAGE, **NETWORK}
CERTIFICATE = f"arn:aws:acm:{REGION}:000000000000:certificate/1"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with running(tmp_path_factory.mktemp("aws") / "ministack.log") as emulator:
        emulator.client("s3").create_bucket(Bucket="foreign", CreateBucketConfiguration={"LocationConstraint": REGION})
        emulator.client("ssm").put_parameter(Name=IMAGE, Value="ami-0123456789abcdef0", Type="String")
        yield emulator


@pytest.fixture(scope="module")
def deployed(aws: Aws) -> dict[str, str]:
    """A stack as `make update_stack` leaves it: its resources by name."""
    done = aws.make("update_stack", STACK_NAME="pictures", **GIVEN)
    assert done.returncode == 0, done.stdout + done.stderr
    return aws.resources("pictures")


def launch_data(aws: Aws, resources: dict[str, str]) -> Any:
    """What the group's next instance would be started with."""
    (group,) = aws.client("autoscaling").describe_auto_scaling_groups(
        AutoScalingGroupNames=[resources["InstanceGroup"]]
    )["AutoScalingGroups"]
    (version,) = aws.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=group["LaunchTemplate"]["LaunchTemplateId"], Versions=[group["LaunchTemplate"]["Version"]]
    )["LaunchTemplateVersions"]
    return version["LaunchTemplateData"]


def user_data(aws: Aws, resources: dict[str, str]) -> str:
    return base64.b64decode(launch_data(aws, resources)["UserData"]).decode()


# --- Created, and read back from each one's own API.


def test_the_network_is_in_two_zones_and_has_its_own_way_to_s3(aws: Aws, deployed: dict[str, str]) -> None:
    ec2 = aws.client("ec2")
    (network,) = ec2.describe_vpcs(VpcIds=[deployed["Network"]])["Vpcs"]
    (gateway,) = ec2.describe_internet_gateways(InternetGatewayIds=[deployed["Gateway"]])["InternetGateways"]
    subnets = ec2.describe_subnets(SubnetIds=[deployed["SubnetA"], deployed["SubnetB"]])["Subnets"]
    (endpoint,) = ec2.describe_vpc_endpoints(VpcEndpointIds=[deployed["S3Endpoint"]])["VpcEndpoints"]
    (routes,) = ec2.describe_route_tables(RouteTableIds=[deployed["Routes"]])["RouteTables"]

    assert network["CidrBlock"] == "10.20.0.0/16"
    assert [one["VpcId"] for one in gateway["Attachments"]] == [deployed["Network"]]
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == 2
    assert {subnet["CidrBlock"] for subnet in subnets} == {"10.20.0.0/20", "10.20.16.0/20"}
    assert endpoint["ServiceName"] == f"com.amazonaws.{REGION}.s3"
    assert deployed["Gateway"] in {route.get("GatewayId") for route in routes["Routes"]}
    assert {association["SubnetId"] for association in routes["Associations"]} >= {
        deployed["SubnetA"],
        deployed["SubnetB"],
    }


def test_the_load_balancer_listens_at_5000_and_80(aws: Aws, deployed: dict[str, str]) -> None:
    elb = aws.client("elbv2")
    listeners = elb.describe_listeners(LoadBalancerArn=deployed["LoadBalancer"])["Listeners"]
    attributes = elb.describe_load_balancer_attributes(LoadBalancerArn=deployed["LoadBalancer"])["Attributes"]
    (group,) = elb.describe_target_groups(TargetGroupArns=[deployed["TargetGroup"]])["TargetGroups"]

    assert {(one["Port"], one["Protocol"]) for one in listeners} == {(5000, "HTTP"), (80, "HTTP")}
    for listener in listeners:
        rules = elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
        (rule,) = (one for one in rules if not one["IsDefault"])
        assert rule["Actions"][0]["TargetGroupArn"] == deployed["TargetGroup"]
        assert rule["Conditions"][0]["PathPatternConfig"]["Values"] == ["*"]
    assert {"Key": "access_logs.s3.bucket", "Value": deployed["LogsBucket"]} in attributes
    assert (group["HealthCheckPath"], group["Port"]) == ("/healthz", 5000)


def test_instances_are_reached_from_the_load_balancer_only(aws: Aws, deployed: dict[str, str]) -> None:
    (group,) = aws.client("ec2").describe_security_groups(GroupIds=[deployed["InstanceAccess"]])["SecurityGroups"]
    (rule,) = group["IpPermissions"]

    assert (rule["FromPort"], rule["ToPort"], rule.get("IpRanges", [])) == (5000, 5000, [])
    assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [deployed["LoadBalancerAccess"]]


def test_the_group_starts_what_the_launch_template_says(aws: Aws, deployed: dict[str, str]) -> None:
    (group,) = aws.client("autoscaling").describe_auto_scaling_groups(
        AutoScalingGroupNames=[deployed["InstanceGroup"]]
    )["AutoScalingGroups"]
    data = launch_data(aws, deployed)

    assert (group["MinSize"], group["MaxSize"], group["HealthCheckType"]) == (2, 6, "ELB")
    assert data["ImageId"] == "ami-0123456789abcdef0"
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert data["MetadataOptions"]["HttpPutResponseHopLimit"] == 2
    assert data["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True
    script = user_data(aws, deployed)
    assert f"COMMIT={COMMIT} IMAGE_REPOSITORY=000000000000.dkr.ecr.{REGION}.amazonaws.com/thumbstack" in script
    assert f"PICTURES_BUCKET={deployed['PicturesBucket']}" in script
    assert "${IMAGE_REPOSITORY%%/*}" in script


def test_it_scales_and_alarms(aws: Aws, deployed: dict[str, str]) -> None:
    policies = aws.client("autoscaling").describe_policies(AutoScalingGroupName=deployed["InstanceGroup"])
    alarms = aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    dashboard = aws.client("cloudwatch").get_dashboard(DashboardName="pictures")["DashboardBody"]

    assert {policy["PolicyType"] for policy in policies["ScalingPolicies"]} == {"TargetTrackingScaling"}
    assert len(policies["ScalingPolicies"]) == 3
    # Beside those that target tracking makes for itself.
    ours = [alarm for alarm in alarms if alarm["AlarmName"].startswith("pictures-")]
    # Whom they tell the emulator does not say.
    assert {alarm["MetricName"] for alarm in ours} >= {"RenderLoad", "EdgeHitRatio", "DiskUsed", "TargetResponseTime"}
    assert len(ours) == 7
    assert len(json.loads(dashboard)["widgets"]) == 6


def test_keys_are_made_and_are_such_as_the_rooms_take(aws: Aws, deployed: dict[str, str]) -> None:
    from thumbstack.apps import read_app_keys
    from thumbstack.settings import Settings

    secrets = aws.client("secretsmanager")
    security = secrets.get_secret_value(SecretId=deployed["SecurityKeys"])["SecretString"]
    api = secrets.get_secret_value(SecretId=deployed["ApiKeys"])["SecretString"]

    assert Settings(security_keys=security).security_keys == (security,)
    (pair,) = read_app_keys(api)
    assert pair.app == "pictures"
    assert len({pair.public_key, pair.private_key, security}) == 3


def test_buckets_are_as_they_should(aws: Aws, deployed: dict[str, str]) -> None:
    s3 = aws.client("s3")

    assert s3.get_bucket_versioning(Bucket=deployed["PicturesBucket"])["Status"] == "Enabled"
    for name in ("PicturesBucket", "ResultsBucket", "WebsiteBucket", "LogsBucket"):
        (encrypted,) = s3.get_bucket_encryption(Bucket=deployed[name])["ServerSideEncryptionConfiguration"]["Rules"]
        assert encrypted["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    for name in ("PicturesBucket", "ResultsBucket", "LogsBucket"):
        (denied,) = (
            statement
            for statement in json.loads(s3.get_bucket_policy(Bucket=deployed[name])["Policy"])["Statement"]
            if statement["Effect"] == "Deny"
        )
        assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        blocked = s3.get_public_access_block(Bucket=deployed[name])["PublicAccessBlockConfiguration"]
        assert all(blocked.values()), name
    website = s3.get_bucket_website(Bucket=deployed["WebsiteBucket"])
    balancer = aws.client("elbv2").describe_load_balancers(LoadBalancerArns=[deployed["LoadBalancer"]])
    assert [rule["Redirect"] for rule in website["RoutingRules"]] == [
        {
            "HostName": balancer["LoadBalancers"][0]["DNSName"],
            "HttpRedirectCode": "302",
            "Protocol": "http",
        }
    ] * 2


def test_what_runs_can_be_asked(aws: Aws, deployed: dict[str, str]) -> None:
    assert aws.client("ssm").get_parameter(Name="/pictures/commit")["Parameter"]["Value"] == COMMIT
    outputs = {
        output["OutputKey"]: output["OutputValue"]
        for output in aws.client("cloudformation").describe_stacks(StackName="pictures")["Stacks"][0]["Outputs"]
    }
    assert outputs["PicturesBucketName"] == deployed["PicturesBucket"]
    assert outputs["ServiceUrl"] == f"http://{outputs['LoadBalancerName']}:5000"


def test_logs_are_kept_as_long_as_was_said_and_the_role_is_the_instances(aws: Aws, deployed: dict[str, str]) -> None:
    (group,) = aws.client("logs").describe_log_groups(logGroupNamePrefix="/thumbstack/pictures")["logGroups"]
    policies = aws.client("iam").list_role_policies(RoleName=deployed["InstanceRole"])["PolicyNames"]
    attached = aws.client("iam").list_attached_role_policies(RoleName=deployed["InstanceRole"])["AttachedPolicies"]
    profiles = aws.client("iam").list_instance_profiles_for_role(RoleName=deployed["InstanceRole"])["InstanceProfiles"]

    trusted = aws.client("iam").get_role(RoleName=deployed["InstanceRole"])["Role"]["AssumeRolePolicyDocument"]

    assert group["retentionInDays"] == 30
    assert [statement["Principal"] for statement in trusted["Statement"]] == [{"Service": "ec2.amazonaws.com"}]
    assert (policies, attached) == (["instance"], [])
    assert [profile["Arn"] for profile in profiles] == [launch_data(aws, deployed)["IamInstanceProfile"]["Arn"]]


def test_what_is_off_by_default_is_there_when_asked_for(aws: Aws) -> None:
    _, complaint = aws.update("all", **GIVEN, TranscoderPolicy="true", AlarmEmail="keeper@example.com", MinSize="3")
    assert not complaint
    resources = aws.resources("all")

    (told,) = aws.client("sns").list_subscriptions_by_topic(TopicArn=resources["Alarms"])["Subscriptions"]
    version = aws.client("iam").get_policy(PolicyArn=resources["Transcoder"])["Policy"]["DefaultVersionId"]
    policy = aws.client("iam").get_policy_version(PolicyArn=resources["Transcoder"], VersionId=version)["PolicyVersion"]
    (group,) = aws.client("autoscaling").describe_auto_scaling_groups(
        AutoScalingGroupNames=[resources["InstanceGroup"]]
    )["AutoScalingGroups"]

    assert (told["Protocol"], told["Endpoint"]) == ("email", "keeper@example.com")
    assert f"{resources['PicturesBucket']}/o/*" in json.dumps(policy["Document"])
    assert group["MinSize"] == 3


# --- Rights, as the emulator enforces them.


def test_the_world_sees_the_websites_variants_and_nothing_else(aws: Aws, deployed: dict[str, str]) -> None:
    s3 = aws.client("s3")
    for key in ("m/o/shop/cat/2.jpg/x.jpg", "elsewhere.txt"):
        s3.put_object(Bucket=deployed["WebsiteBucket"], Key=key, Body=b"x")

    def ask(bucket: str, path: str) -> int:
        return requests.get(f"{aws.url}/{deployed[bucket]}{path}", timeout=10).status_code

    assert ask("WebsiteBucket", "/m/o/shop/cat/2.jpg/x.jpg") == 200
    # The emulator says 404 of what is missing, S3 403 to whom it shows no list: both send on to the service.
    assert ask("WebsiteBucket", "/m/o/shop/cat/2.jpg/missing.jpg") in (403, 404)
    assert ask("WebsiteBucket", "/elsewhere.txt") == 403
    assert ask("WebsiteBucket", "") == 403
    for bucket in ("PicturesBucket", "ResultsBucket", "LogsBucket"):
        assert ask(bucket, "/o/shop/cat/1.jpg") == 403


@pytest.fixture(scope="module")
def role(aws: Aws, deployed: dict[str, str]) -> dict[str, str]:
    """The credentials that an instance has."""
    arn = aws.client("iam").get_role(RoleName=deployed["InstanceRole"])["Role"]["Arn"]
    found = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="instance")["Credentials"]
    return {
        "aws_access_key_id": found["AccessKeyId"],
        "aws_secret_access_key": found["SecretAccessKey"],
        "aws_session_token": found["SessionToken"],
    }


@pytest.mark.parametrize("bucket", ["PicturesBucket", "ResultsBucket"])
def test_without_tls_nobody_reads_or_writes_pictures(
    aws: Aws, deployed: dict[str, str], role: dict[str, str], bucket: str
) -> None:
    s3 = aws.client("s3", **role)

    for call in (s3.put_object, s3.get_object):
        with pytest.raises(ClientError, match="AccessDenied"):
            call(Bucket=deployed[bucket], Key="o/shop/cat/1.jpg")


def test_the_instance_may_do_what_its_rooms_do(aws: Aws, deployed: dict[str, str], role: dict[str, str]) -> None:
    owner = aws.client("s3")
    # The emulator speaks plain HTTP, which these policies refuse, as was just seen; AWS's endpoints are TLS.
    for name in ("PicturesBucket", "ResultsBucket"):
        owner.delete_bucket_policy(Bucket=deployed[name])
    s3 = aws.client("s3", **role)
    for bucket, prefix in (
        ("PicturesBucket", "o/shop/cat/"),
        ("PicturesBucket", "incoming/shop/cat/"),
        ("ResultsBucket", "o/shop/cat/1.jpg/"),
        ("WebsiteBucket", "m/o/shop/cat/1.jpg/"),
    ):
        where = {"Bucket": deployed[bucket], "Key": prefix + "x.jpg"}
        s3.put_object(**where, Body=b"x", IfNoneMatch="*")
        assert s3.get_object(**where)["Body"].read() == b"x"
        assert s3.list_objects_v2(Bucket=deployed[bucket], Prefix=prefix)["KeyCount"] == 1
        s3.delete_objects(Bucket=deployed[bucket], Delete={"Objects": [{"Key": where["Key"]}]})
    s3.put_object(Bucket=deployed["ResultsBucket"], Key="notices/1-a", Body=b"{}")

    secrets = aws.client("secretsmanager", **role)
    for name in ("SecurityKeys", "ApiKeys"):
        assert secrets.get_secret_value(SecretId=deployed[name])["SecretString"]
    # cloudwatch:PutMetricData is left out: the emulator does not know the condition on its namespace, and refuses.


@pytest.mark.parametrize(
    ("service", "call", "arguments"),
    [
        ("s3", "get_object", {"Bucket": "foreign", "Key": "o/a/b/c"}),
        ("s3", "list_objects_v2", {"Bucket": "foreign"}),
        ("s3", "put_object", {"Bucket": "{PicturesBucket}", "Key": "elsewhere", "Body": b""}),
        ("s3", "put_object", {"Bucket": "{WebsiteBucket}", "Key": "index.html", "Body": b""}),
        ("s3", "delete_object", {"Bucket": "{ResultsBucket}", "Key": "notices/1-a"}),
        ("s3", "delete_bucket", {"Bucket": "{ResultsBucket}"}),
        # What was deleted is the keeper's business (docs/aws.md).
        ("s3", "list_object_versions", {"Bucket": "{PicturesBucket}"}),
        ("s3", "get_object", {"Bucket": "{PicturesBucket}", "Key": "o/a/b/c", "VersionId": "1"}),
        ("s3", "delete_object", {"Bucket": "{PicturesBucket}", "Key": "o/a/b/c", "VersionId": "1"}),
        ("s3", "put_bucket_policy", {"Bucket": "{PicturesBucket}", "Policy": "{}"}),
        ("s3", "list_objects_v2", {"Bucket": "{LogsBucket}"}),
        ("secretsmanager", "get_secret_value", {"SecretId": "{FirstPrivateKey}"}),
        ("secretsmanager", "put_secret_value", {"SecretId": "{ApiKeys}", "SecretString": "[]"}),
        ("iam", "list_roles", {}),
        ("ec2", "describe_instances", {}),
        ("cloudformation", "delete_stack", {"StackName": "pictures"}),
        ("cloudwatch", "put_metric_data", {"Namespace": "Foreign", "MetricData": [{"MetricName": "a", "Value": 1}]}),
    ],
    ids=lambda value: value if isinstance(value, str) else json.dumps(value, default=str),
)
def test_the_instance_may_do_nothing_else(
    aws: Aws, deployed: dict[str, str], role: dict[str, str], service: str, call: str, arguments: dict[str, Any]
) -> None:
    told = {k: v.format(**deployed) if isinstance(v, str) and v != "{}" else v for k, v in arguments.items()}

    with pytest.raises(ClientError) as refused:
        getattr(aws.client(service, **role), call)(**told)

    assert refused.value.response["Error"]["Code"] in {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}


# --- Updates.


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"CommitID": "main"}, "must be a commit's full id, 40 digits 0-9 a-f (git rev-parse HEAD)."),
        ({"VPCCIDRBlock": "10.20.0.0"}, "must be a network such as 10.20.0.0/16, between /16 and /26."),
        ({"MinSize": "0"}, "MinSize"),
        ({"LogRetentionDays": "2"}, "LogRetentionDays"),
        (
            {"Cdn": "true", "CertificateArn": CERTIFICATE},
            "With Cdn and CertificateArn, OriginName must be the load balancer's name in that certificate.",
        ),
        ({"CertificateArn": CERTIFICATE}, "With CertificateArn, DomainName must be the certificate's name"),
        (
            {"CdnCertificateArn": CERTIFICATE.replace(REGION, "us-east-1")},
            "CdnCertificateArn is for CloudFront under a name, so Cdn must be true and DomainName be set.",
        ),
        ({"CdnCertificateArn": CERTIFICATE}, "must be the ARN of a certificate in ACM in us-east-1, or empty."),
        (
            {"Cdn": "true", "DomainName": "pictures.example.com"},
            "With Cdn and DomainName, CdnCertificateArn must be that name's certificate in us-east-1.",
        ),
        ({"InstanceType": "m7g.large"}, "must be a kind of instance with x86 processors, such as m6a.large."),
        (
            {"ImageRepository": "Upper/case"},
            "must be a registry and a name, such as registry.example/thumbstack, or empty.",
        ),
        ({"AlarmEmail": "nobody"}, "must be one e-mail address, or empty."),
        # What no template can compare.
        ({"MaxSize": "2"}, "MaxSize must be more than MinSize: a new instance starts before an old one goes."),
        ({"SubnetBCIDRBlock": "10.21.0.0/20"}, "SubnetACIDRBlock and SubnetBCIDRBlock must lie within VPCCIDRBlock."),
        (
            {"SubnetBCIDRBlock": "10.20.8.0/24"},
            "SubnetACIDRBlock and SubnetBCIDRBlock must have no address in common.",
        ),
    ],
    ids=str,
)
def test_what_is_wrong_is_refused_before_anything_is_changed(
    aws: Aws, deployed: dict[str, str], wrong: dict[str, str], sentence: str
) -> None:
    before = aws.client("cloudformation").describe_stack_events(StackName="pictures")["StackEvents"]

    _, complaint = aws.update("pictures", **{"CommitID": COMMIT, **wrong})

    assert sentence in complaint
    assert aws.client("cloudformation").describe_stack_events(StackName="pictures")["StackEvents"] == before


def test_a_new_stack_without_its_network_is_refused_by_name(aws: Aws) -> None:
    _, complaint = aws.update("another", CommitID=COMMIT, ImageId=IMAGE)

    assert "VPCCIDRBlock" in complaint
    # Or it is the wrong region.
    assert complaint.endswith(f". There is no stack another in {REGION} yet.")


def test_the_same_again_changes_nothing(aws: Aws, deployed: dict[str, str]) -> None:
    done = aws.make("update_stack", STACK_NAME="pictures", CommitID=COMMIT)

    assert done.returncode == 0, done.stderr
    assert "No changes: pictures is as it should be." in done.stdout
    assert f"PicturesBucketName   {deployed['PicturesBucket']}" in done.stdout


def what_refers_to_the_group(aws: Aws, stack: str, resources: dict[str, str]) -> Any:
    policies = aws.client("autoscaling").describe_policies(AutoScalingGroupName=resources["InstanceGroup"])
    dashboard = aws.client("cloudwatch").get_dashboard(DashboardName=stack)["DashboardBody"]
    told = {one["PolicyName"]: one["TargetTrackingConfiguration"] for one in policies["ScalingPolicies"]}
    assert len(told) == 3
    return told, dashboard


def test_a_new_commit_changes_what_instances_start_with_and_nothing_else(aws: Aws, tmp_path: Path) -> None:
    aws.update("newer", **GIVEN)
    before = aws.resources("newer")
    old = launch_data(aws, before)

    dependents = what_refers_to_the_group(aws, "newer", before)

    told, complaint = aws.update("newer", CommitID="b" * 40)

    assert not complaint
    changed = {line.split()[1] for line in told.splitlines() if line.startswith("modify ")}
    # The emulator also names whatever refers to the group. AWS does where its name could change, which is where it were
    # replaced; it is not, and they stay what they were.
    assert changed - {"Dashboard", "ScaleOnRequests", "ScaleOnProcessor", "ScaleOnRenders"} == {
        "LaunchTemplate",
        "InstanceGroup",
        "CommitParameter",
    }
    assert "replaced" not in told
    assert aws.resources("newer") == before
    assert what_refers_to_the_group(aws, "newer", before) == dependents
    new = launch_data(aws, before)
    assert old["UserData"] != new["UserData"]
    assert user_data(aws, before) == base64.b64decode(old["UserData"]).decode().replace(COMMIT, "b" * 40)
    differing = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
    # The tag that says which commit an instance runs.
    assert differing == {"UserData", "TagSpecifications"}
    assert aws.client("ssm").get_parameter(Name="/newer/commit")["Parameter"]["Value"] == "b" * 40


@pytest.fixture
def waiting(aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Our template, and something that is never signalled: the emulator waits for no group's signals, but for these."""
    template = tmp_path / "template.yaml"
    template.write_text(
        TEMPLATE.read_text().replace(
            "\nOutputs:\n",
            "  Signal:\n    Type: AWS::CloudFormation::WaitConditionHandle\n"
            "  Signals:\n    Type: AWS::CloudFormation::WaitCondition\n    DependsOn: CommitParameter\n"
            "    Properties: {Handle: !Ref Signal, Timeout: '1', Count: 1}\n\nOutputs:\n",
        )
    )
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    return template


def test_an_update_that_is_never_signalled_goes_back_to_the_old_commit(
    aws: Aws, waiting: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.update("broken", **GIVEN)

    with pytest.raises(StoppedError) as stopped:
        Stack("broken", boto3.Session(), waiting).update({"CommitID": "c" * 40})

    assert "UPDATE_FAILED                Signals: WaitCondition timed out." in capsys.readouterr().out
    # And once more where the log ends.
    sentence, reason, *_ = str(stopped.value).splitlines()
    assert sentence == "broken is UPDATE_ROLLBACK_COMPLETE:"
    assert reason.startswith("  UPDATE_FAILED Signals: WaitCondition timed out.")
    assert COMMIT in user_data(aws, aws.resources("broken"))
    assert aws.client("ssm").get_parameter(Name="/broken/commit")["Parameter"]["Value"] == COMMIT
    # And the next update is an update as any other.
    assert "No changes" in aws.update("broken", CommitID=COMMIT)[0]


def test_ending_it_keeps_the_originals_and_takes_the_rest(aws: Aws) -> None:
    aws.update("ended", **GIVEN)
    resources, s3 = aws.resources("ended"), aws.client("s3")
    for name in ("PicturesBucket", "ResultsBucket"):
        # Plain HTTP again.
        s3.delete_bucket_policy(Bucket=resources[name])
        s3.put_object(Bucket=resources[name], Key="o/shop/cat/1.jpg", Body=b"x")

    told, complaint = aws.update("ended", "--delete")

    assert not complaint
    buckets = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    left = {name for name, physical in resources.items() if name.endswith("Bucket") and physical in buckets}
    assert left == {"PicturesBucket", "LogsBucket"}
    assert f"Kept, and billed until you delete them: {resources['PicturesBucket']}, {resources['LogsBucket']}" in told
    assert s3.get_object(Bucket=resources["PicturesBucket"], Key="o/shop/cat/1.jpg")["Body"].read() == b"x"
    assert f"There is no stack ended in {REGION}." in aws.update("ended", "--delete")[1]


def test_what_was_never_created_whole_is_made_anew(aws: Aws, waiting: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StoppedError, match="stillborn is ROLLBACK_COMPLETE:\n  CREATE_FAILED Signals"):
        Stack("stillborn", boto3.Session(), waiting).update(GIVEN)
    assert "Kept" not in capsys.readouterr().out

    told, complaint = aws.update("stillborn", **GIVEN)

    assert not complaint
    assert "stillborn was never created whole: deleting what is left of it" in told
    (stack,) = aws.client("cloudformation").describe_stacks(StackName="stillborn")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"


@pytest.mark.parametrize(
    ("status", "flags", "advice"),
    [
        ("UPDATE_IN_PROGRESS", [], "somebody is at it. Run this again when it is at rest."),
        ("DELETE_IN_PROGRESS", [], "somebody is at it. Run this again when it is at rest."),
        ("UPDATE_IN_PROGRESS", ["--delete"], "somebody is at it. Run this again when it is at rest."),
        (
            "UPDATE_ROLLBACK_FAILED",
            [],
            "`aws cloudformation continue-update-rollback --stack-name pictures`, then this.",
        ),
        ("DELETE_FAILED", [], "run `make delete_stack` again, which tells why, then this."),
    ],
)
def test_a_stack_that_cannot_be_updated_is_left_alone_with_advice(
    aws: Aws,
    deployed: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    status: str,
    flags: list[str],
    advice: str,
) -> None:
    # The emulator is never in between, nor stuck.
    monkeypatch.setattr(Stack, "status", lambda self, stack_id=None: status)

    _, complaint = aws.update("pictures", *flags, CommitID="d" * 40)

    assert complaint.startswith(f"update_stack: pictures is {status}: ")
    assert complaint.endswith(advice)
    assert aws.client("ssm").get_parameter(Name="/pictures/commit")["Parameter"]["Value"] == COMMIT


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"AWS_ACCESS_KEY_ID": ""}, "no credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."),
        ({"AWS_DEFAULT_REGION": ""}, "no region: set AWS_REGION."),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, 'Could not connect to the endpoint URL: "http://127.0.0.1:9/"'),
        ({"AWS_PROFILE": "nobodys"}, "The config profile (nobodys) could not be found"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
)
def test_who_does_not_reach_aws_is_told_in_one_line(
    aws: Aws, tmp_path: Path, changed: dict[str, str], sentence: str
) -> None:
    environment = {**aws.environment, "HOME": str(tmp_path), "AWS_MAX_ATTEMPTS": "1", "CommitID": COMMIT, **changed}
    environment = {name: value for name, value in environment.items() if value}

    done = subprocess.run(
        [sys.executable, "-m", "deploy.update_stack"], cwd=ROOT, env=environment, capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (1, f"update_stack: {sentence}\n")


def test_who_stops_looking_is_told_that_aws_goes_on(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Stack, "update", interrupted)

    _, complaint = aws.update("pictures", CommitID=COMMIT)

    assert complaint == "130"
    assert "AWS goes on" in capsys.readouterr().err


def test_what_an_update_would_change_is_told_and_nothing_is_done(aws: Aws, deployed: dict[str, str]) -> None:
    def change_sets() -> Any:
        return aws.client("cloudformation").list_change_sets(StackName="pictures")["Summaries"]

    before = change_sets()

    told, complaint = aws.update("pictures", "--changes", CommitID="d" * 40)

    assert not complaint
    assert "modify   LaunchTemplate" in told
    assert aws.client("ssm").get_parameter(Name="/pictures/commit")["Parameter"]["Value"] == COMMIT
    assert change_sets() == before
    assert "No changes: pictures is as it should be." in aws.update("pictures", "--changes", CommitID=COMMIT)[0]


def test_of_a_stack_that_is_none_yet_the_changes_are_told_and_nothing_is_left(aws: Aws) -> None:
    told, complaint = aws.update("planned", "--changes", **GIVEN)

    assert not complaint
    assert "add      InstanceGroup" in told
    with pytest.raises(ClientError, match="does not exist"):
        aws.client("cloudformation").describe_stacks(StackName="planned")


def test_the_commit_of_a_stack_can_be_asked(aws: Aws, deployed: dict[str, str]) -> None:
    assert aws.update("pictures", "--commit") == (f"{COMMIT}\n", "")
    assert aws.update("nowhere", "--commit") == ("\n", "")
    assert aws.make("stack_commit", STACK_NAME="pictures").stdout == f"{COMMIT}\n"
