"""The stack, really deployed to an emulator of AWS that enforces rights, and read back from each one's own API.

What the emulator does not play: instances, lifecycle rules, access logs, CloudFront's caching (docs/aws.md).
"""

import json
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from tests.deploy.emulator import COMMIT, GIVEN, REGION, Aws, launch_data, user_data

CERTIFICATE = f"arn:aws:acm:{REGION}:000000000000:certificate/1"


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
    dashboard = aws.client("cloudwatch").get_dashboard(DashboardName=f"pictures-{REGION}")["DashboardBody"]

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
    assert aws.client("ssm").get_parameter(Name="/thumbstack/pictures/commit")["Parameter"]["Value"] == COMMIT
    outputs = {
        output["OutputKey"]: output["OutputValue"]
        for output in aws.client("cloudformation").describe_stacks(StackName="pictures")["Stacks"][0]["Outputs"]
    }
    assert outputs["PicturesBucketName"] == deployed["PicturesBucket"]
    assert outputs["ServiceUrl"] == f"http://{outputs['LoadBalancerName']}:5000"


@pytest.mark.parametrize(
    ("given", "address", "website"),
    [
        ({"DomainName": "p.example.com"}, "http://p.example.com", True),
        (
            {"DomainName": "p.example.com", "CertificateArn": CERTIFICATE},
            "https://p.example.com",
            False,
        ),
        ({"Cdn": "true"}, "https://{CdnName}", False),
        (
            {
                "Cdn": "true",
                "DomainName": "p.example.com",
                "CdnCertificateArn": CERTIFICATE.replace(REGION, "us-east-1"),
            },
            "https://p.example.com",
            False,
        ),
    ],
    ids=["name", "name and certificate", "cdn", "cdn and name"],
)
def test_all_say_the_address_that_the_world_asks(
    aws: Aws, request: pytest.FixtureRequest, given: dict[str, str], address: str, website: bool
) -> None:
    stack = f"address-{request.node.callspec.id.replace(' ', '-')}"
    _, complaint = aws.update(stack, **GIVEN, **given)
    assert not complaint
    resources = aws.resources(stack)
    (found,) = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}
    script = user_data(aws, resources)

    assert outputs["ServiceUrl"] == address.format(**outputs)
    assert f'PUBLIC_URL="{outputs["ServiceUrl"]}"' in script
    # A website endpoint knows no TLS.
    assert f'WEBSITE_URL="{outputs["WebsiteUrl"] if website else ""}"' in script
    rules = aws.client("s3").get_bucket_website(Bucket=resources["WebsiteBucket"])["RoutingRules"]
    assert {f"{rule['Redirect']['Protocol']}://{rule['Redirect']['HostName']}" for rule in rules} == {
        outputs["ServiceUrl"]
    }


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
