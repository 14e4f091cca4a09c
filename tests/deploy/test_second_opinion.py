"""moto's word about what ministack does not play: the group starts instances, they are registered, lost ones replaced.

moto knows fewer types than the template has, and tries the default of a parameter that is read from SSM even where
another is given: the template is handed over without those, everything else as it is.
"""

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import cfnlint.decode
import pytest
import requests

from tests.deploy.emulator import IMAGE, NETWORK, REGION
from tests.deploy.environments import ROOT, python_of

COMMIT = "a" * 40
# Of these moto says "not supported", or (dashboards, alarms) cannot tell what they refer to.
UNKNOWN = {
    "AWS::SecretsManager::Secret",
    "AWS::AutoScaling::ScalingPolicy",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::S3::BucketPolicy",
}
PLACEHOLDER = f"arn:aws:secretsmanager:{REGION}:123456789012:secret:unknown"


def as_moto_takes_it() -> str:
    """The template as JSON, since moto stumbles over a mapping behind !Base64, without the unknown types."""
    template = json.loads(json.dumps(cfnlint.decode.decode(str(ROOT / "cf_template.yaml"))[0]))
    unknown = {name for name, one in template["Resources"].items() if one["Type"] in UNKNOWN}
    template["Parameters"]["ImageId"]["Default"] = IMAGE
    del template["Outputs"]

    def known(tree: Any) -> Any:
        match tree:
            case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]} if name in unknown:
                return PLACEHOLDER
            case dict():
                depends = [one for one in listed(tree.get("DependsOn", [])) if one not in unknown]
                rest = {name: known(value) for name, value in tree.items() if name not in unknown | {"DependsOn"}}
                return rest | ({"DependsOn": depends} if depends else {})
            case list():
                return [known(item) for item in tree]
            case str():
                return re.sub(r"\$\{(\w+)\}", lambda ref: PLACEHOLDER if ref[1] in unknown else ref[0], tree)
        return tree

    return json.dumps(known(template))


def listed(one_or_more: Any) -> list[Any]:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


class Moto:
    """A running moto with the stack in it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def client(self, service: str) -> Any:
        # Any: the type knows each service by a name of its own.
        make: Any = boto3.client
        given = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return make(service, region_name=REGION, endpoint_url=self.url, **given)

    def deploy(self) -> None:
        self.client("ssm").put_parameter(Name=IMAGE, Value="ami-12c6146b", Type="String")
        cloudformation = self.client("cloudformation")
        given = {"CommitID": COMMIT, **NETWORK}
        parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()]
        cloudformation.create_stack(
            StackName="pictures",
            TemplateBody=as_moto_takes_it(),
            Parameters=parameters,
            Capabilities=["CAPABILITY_IAM"],
        )
        (stack,) = cloudformation.describe_stacks(StackName="pictures")["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"

    def instances(self) -> list[str]:
        (group,) = self.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        return [instance["InstanceId"] for instance in group["Instances"]]

    def healthy(self) -> dict[str, int]:
        """The load balancer's targets that are well, and the port at which each is asked."""
        elb = self.client("elbv2")
        (group,) = elb.describe_target_groups()["TargetGroups"]
        health = elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
        targets = [one["Target"] for one in health if one["TargetHealth"]["State"] == "healthy"]
        return {target["Id"]: target["Port"] for target in targets}


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log: Path = tmp_path_factory.mktemp("moto") / "moto.log"
    command = [str(python_of("emulators")), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("w") as out:
        server = subprocess.Popen(command, env={"PATH": os.environ["PATH"]}, stdout=out, stderr=out)
    try:
        moto, deadline = Moto(port), time.monotonic() + 60
        while True:
            try:
                requests.get(f"{moto.url}/moto-api/", timeout=2)
                break
            except requests.RequestException:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(log.read_text()) from None
                time.sleep(0.1)
        moto.deploy()
        yield moto
    finally:
        server.terminate()
        server.wait(10)


def test_the_group_starts_two_instances_and_the_load_balancer_finds_them_well(moto: Moto) -> None:
    instances = moto.instances()

    assert len(instances) == 2
    assert moto.healthy() == dict.fromkeys(instances, 5000)


def test_an_instance_is_what_the_launch_template_says(moto: Moto) -> None:
    found = moto.client("ec2").describe_instances(InstanceIds=moto.instances())["Reservations"]
    instances = [instance for one in found for instance in one["Instances"]]

    for instance in instances:
        assert (instance["ImageId"], instance["InstanceType"]) == ("ami-12c6146b", "m6a.large")
        assert {"Key": "Commit", "Value": COMMIT} in instance["Tags"]
        assert "KeyName" not in instance


def test_an_instance_that_goes_is_replaced(moto: Moto) -> None:
    first, second = moto.instances()

    moto.client("autoscaling").terminate_instance_in_auto_scaling_group(
        InstanceId=first, ShouldDecrementDesiredCapacity=False
    )

    assert first not in moto.instances()
    assert second in moto.instances()
    assert len(moto.instances()) == 2
    # The lost one stays registered here; on AWS the group takes it out.
    assert moto.healthy().keys() >= set(moto.instances())
