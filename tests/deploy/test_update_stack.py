"""`make update_stack` and its like, on an emulator of AWS: updates, ends, and all that is refused.

The emulator does not wait for a group's signals (docs/aws.md).
"""

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from deploy.update_stack import TEMPLATE, Stack, StoppedError
from tests.deploy.emulator import COMMIT, GIVEN, IMAGE, REGION, Aws, launch_data, user_data
from tests.deploy.environments import ROOT

# The region comes behind it where AWS takes 64 letters.
NO_NAME = "STACK_NAME must be 40 letters, digits and '-' at most, the first of them a letter."
CERTIFICATE = f"arn:aws:acm:{REGION}:000000000000:certificate/1"


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
    dashboard = aws.client("cloudwatch").get_dashboard(DashboardName=f"{stack}-{REGION}")["DashboardBody"]
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
    assert aws.client("ssm").get_parameter(Name="/thumbstack/newer/commit")["Parameter"]["Value"] == "b" * 40


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
    assert aws.client("ssm").get_parameter(Name="/thumbstack/broken/commit")["Parameter"]["Value"] == COMMIT
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


def test_a_stack_that_is_protected_is_not_even_emptied(aws: Aws) -> None:
    aws.update("protected", **GIVEN)
    results, s3 = aws.resources("protected")["ResultsBucket"], aws.client("s3")
    s3.delete_bucket_policy(Bucket=results)
    s3.put_object(Bucket=results, Key="o/shop/cat/1.jpg", Body=b"x")
    aws.client("cloudformation").update_termination_protection(StackName="protected", EnableTerminationProtection=True)

    told, complaint = aws.update("protected", "--delete")

    assert complaint.startswith(
        "update_stack: protected is protected from its end: run `aws cloudformation update-term"
    )
    assert told == ""
    assert s3.list_objects_v2(Bucket=results)["KeyCount"] == 1


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
    assert aws.client("ssm").get_parameter(Name="/thumbstack/pictures/commit")["Parameter"]["Value"] == COMMIT


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"AWS_ACCESS_KEY_ID": ""}, "no credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."),
        ({"AWS_DEFAULT_REGION": ""}, "no region: set AWS_REGION."),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, 'Could not connect to the endpoint URL: "http://127.0.0.1:9/"'),
        ({"AWS_ENDPOINT_URL": "nonsense"}, "Invalid endpoint: nonsense"),
        ({"STACK_NAME": "two words"}, NO_NAME),
        ({"STACK_NAME": "n" * 41}, NO_NAME),
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


def test_who_reads_no_further_is_told_that_aws_goes_on(aws: Aws) -> None:
    ours, theirs = os.pipe()
    # As `head` does, which has read enough.
    os.close(ours)

    done = subprocess.run(
        [sys.executable, "-m", "deploy.update_stack", "--commit"],
        cwd=ROOT,
        env=aws.environment,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(theirs)

    said = "update_stack: nobody reads this any more. AWS goes on: run this again when it is at rest.\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_where_aws_cannot_be_asked_how_it_goes_it_goes_on(
    aws: Aws, deployed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The emulator is neither away for a moment nor asked too often.
    refused = ClientError({"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}, "DescribeStackEvents")
    real = Stack.status

    def status(stack: Stack, stack_id: str | None = None) -> str | None:
        if stack_id:
            raise refused
        return real(stack)

    monkeypatch.setattr(Stack, "status", status)

    _, complaint = aws.update("limits", **GIVEN)

    assert complaint == "update_stack: Rate exceeded. AWS goes on: run this again when it is at rest."


def test_only_events_that_are_not_known_yet_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    # The emulator has one page for all; AWS refuses who asks for all pages of a long life every two seconds.
    asked = []

    class Pages:
        def paginate(self, **_: str) -> Iterator[dict[str, Any]]:
            for number in range(3):
                asked.append(number)
                yield {"StackEvents": [{"EventId": f"{number} {event}"} for event in ("late", "early")]}

    stack = Stack("pictures", boto3.Session("test", "test", region_name=REGION))
    monkeypatch.setattr(stack._aws, "get_paginator", lambda _: Pages())

    assert [event["EventId"] for event in stack._events()][::5] == ["2 early", "0 late"]
    assert stack._events() == []
    assert asked == [0, 1, 2, 0]


def test_what_an_update_would_change_is_told_and_nothing_is_done(aws: Aws, deployed: dict[str, str]) -> None:
    def change_sets() -> Any:
        return aws.client("cloudformation").list_change_sets(StackName="pictures")["Summaries"]

    before = change_sets()

    told, complaint = aws.update("pictures", "--changes", CommitID="d" * 40)

    assert not complaint
    assert "modify   LaunchTemplate" in told
    assert aws.client("ssm").get_parameter(Name="/thumbstack/pictures/commit")["Parameter"]["Value"] == COMMIT
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
