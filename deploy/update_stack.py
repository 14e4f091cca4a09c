"""Creates or updates the service on AWS, telling what happens and why: `make update_stack` (docs/aws.md).

Parameters of cf_template.yaml are variables of their names; what is not given stays as it is, or has its default.
STACK_NAME names the stack, CommitID is the checkout's commit unless it is said. With --delete the stack is ended, with
--changes it stays as it is and only the changes are told, and with --commit the commit that it has.
"""

import argparse
import ipaddress
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef, StackEventTypeDef, TemplateParameterTypeDef

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "cf_template.yaml"
# Only made again by the service, so they go with it; CloudFormation deletes no bucket that holds something.
_EMPTIED = ("ResultsBucket", "WebsiteBucket")
# Those that outlive it (DeletionPolicy).
_KEPT = ("PicturesBucket", "LogsBucket")
# What a first creation that failed leaves: nothing but deleting is possible with it.
_STILLBORN = ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED")
_STUCK = {
    "DELETE_FAILED": "its end was begun and failed: run `make delete_stack` again, which tells why, then this.",
    "UPDATE_ROLLBACK_FAILED": "it could not go back to what it was. Its events tell what is in the way: mend that, "
    "run `aws cloudformation continue-update-rollback --stack-name {name}`, then this.",
}
_GOES_ON = "AWS goes on: run this again when it is at rest."
# In names that AWS bounds at 64 the region stands behind it.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,39}")
_SECONDS_BETWEEN_LOOKS = 2


class StoppedError(Exception):
    """Why nothing more is done; a sentence for who asked."""


class Stack:
    """One stack, and what was told of its events already."""

    def __init__(self, name: str, session: boto3.Session, template: Path = TEMPLATE) -> None:
        if not _NAME.fullmatch(name):
            raise StoppedError("STACK_NAME must be 40 letters, digits and '-' at most, the first of them a letter.")
        self.name = name
        self._template = template
        self._session = session
        self._aws: CloudFormationClient = session.client("cloudformation")
        self._told: set[str] = set()
        # What failed, in the words of the events.
        self._failures: list[str] = []

    def status(self, stack_id: str | None = None) -> str | None:
        """What CloudFormation says of it; None where there is none. One that is gone is known by its id only."""
        try:
            return self._aws.describe_stacks(StackName=stack_id or self.name)["Stacks"][0]["StackStatus"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise

    def commit(self) -> str:
        """The commit that its instances start with; nothing where there is no stack that was ever whole."""
        if self.status() in (None, "REVIEW_IN_PROGRESS", *_STILLBORN):
            return ""
        return self._known_parameters().get("CommitID", "")

    def update(self, variables: Mapping[str, str], *, only_tell: bool = False) -> None:
        """Bring it to the template and these variables; raises StoppedError where it did not get there."""
        template = self._template.read_text()
        status = self.status()
        if status in _STILLBORN:
            if only_tell:
                print(f"{self.name} was never created whole: it would be deleted and created anew")
                return
            print(f"{self.name} was never created whole: deleting what is left of it")
            self.delete()
            status = None
        self._refuse_unready(status)
        new = status in (None, "REVIEW_IN_PROGRESS")
        declared = self._aws.validate_template(TemplateBody=template)["Parameters"]
        try:
            made = self._aws.create_change_set(
                StackName=self.name,
                ChangeSetName=f"update-{time.time_ns()}",
                ChangeSetType="CREATE" if new else "UPDATE",
                TemplateBody=template,
                Parameters=self._parameters(declared, variables, new),
                Capabilities=["CAPABILITY_IAM"],
                Tags=[{"Key": "service", "Value": "thumbstack"}],
            )
        except ClientError as error:
            if not new:
                raise
            # Who meant to update one has the wrong region or name.
            reason = _words(error).rstrip(".")
            raise StoppedError(
                f"{reason}. There is no stack {self.name} in {self._session.region_name} yet."
            ) from error
        if not self._has_changes(made["Id"], made["StackId"] if new else None):
            print(f"No changes: {self.name} is as it should be.")
        elif only_tell:
            self._aws.delete_change_set(ChangeSetName=made["Id"])
            if status is None:
                # What a change set leaves of a stack that was never there.
                self._aws.delete_stack(StackName=made["StackId"])
            return
        else:
            self._remember_events()
            self._aws.execute_change_set(ChangeSetName=made["Id"])
            ended = self._follow(made["StackId"])
            if ended not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
                raise StoppedError(self._why(ended))
        for output in self._aws.describe_stacks(StackName=self.name)["Stacks"][0].get("Outputs", []):
            print(f"{output['OutputKey']:<20} {output['OutputValue']}")

    def delete(self) -> None:
        """End it; the buckets that hold what cannot be made again are kept, and named."""
        status = self.status()
        if status is None:
            raise StoppedError(f"There is no stack {self.name} in {self._session.region_name}.")
        if status != "REVIEW_IN_PROGRESS":
            self._refuse_busy(status)
        (found,) = self._aws.describe_stacks(StackName=self.name)["Stacks"]
        if found.get("EnableTerminationProtection"):
            # AWS says so, too, but only after its buckets were emptied.
            raise StoppedError(
                f"{self.name} is protected from its end: run `aws cloudformation update-termination-protection "
                f"--no-enable-termination-protection --stack-name {self.name}`, then this."
            )
        stack_id = found["StackId"]
        # Twice: until they end, the instances may store something in a bucket that was just emptied.
        for _ in range(2):
            resources = {
                resource["LogicalResourceId"]: resource.get("PhysicalResourceId", "")
                for page in self._aws.get_paginator("list_stack_resources").paginate(StackName=stack_id)
                for resource in page["StackResourceSummaries"]
                if resource["ResourceStatus"] != "DELETE_COMPLETE"
            }
            for bucket in filter(None, map(resources.get, _EMPTIED)):
                self._empty(bucket)
            kept = [resources[logical] for logical in _KEPT if resources.get(logical)]
            self._remember_events()
            self._aws.delete_stack(StackName=stack_id)
            ended = self._follow(stack_id)
            if ended == "DELETE_COMPLETE":
                break
        else:
            raise StoppedError(self._why(ended))
        print(f"Gone. Kept, and billed until you delete them: {', '.join(kept) or 'nothing'}")

    def _refuse_unready(self, status: str | None) -> None:
        if status in _STUCK:
            raise StoppedError(f"{self.name} is {status}: {_STUCK[status].format(name=self.name)}")
        if status != "REVIEW_IN_PROGRESS":
            self._refuse_busy(status)

    def _refuse_busy(self, status: str | None) -> None:
        if status and status.endswith("_IN_PROGRESS"):
            raise StoppedError(f"{self.name} is {status}: somebody is at it. Run this again when it is at rest.")

    def _why(self, ended: str) -> str:
        reasons = "".join(f"\n  {failure}" for failure in self._failures) or " its events tell why."
        return f"{self.name} is {ended}:{reasons}"

    def _empty(self, bucket: str) -> None:
        try:
            self._session.resource("s3").Bucket(bucket).objects.all().delete()
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise
        else:
            print(f"emptied {bucket}")

    def _parameters(
        self, declared: "list[TemplateParameterTypeDef]", variables: Mapping[str, str], new: bool
    ) -> "list[ParameterTypeDef]":
        """Each as it is given, or as it was; raises StoppedError where they cannot work together."""
        names = [parameter["ParameterKey"] for parameter in declared]
        known = {} if new else self._known_parameters()
        defaults = {one["ParameterKey"]: one["DefaultValue"] for one in declared if "DefaultValue" in one}
        values = {**defaults, **known, **{name: variables[name] for name in names if name in variables}}
        _refuse_contradictions(values)
        return [
            {"ParameterKey": name, "ParameterValue": variables[name]}
            if name in variables
            else {"ParameterKey": name, "UsePreviousValue": True}
            for name in names
            if name in variables or name in known
        ]

    def _known_parameters(self) -> dict[str, str]:
        stack = self._aws.describe_stacks(StackName=self.name)["Stacks"][0]
        return {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack.get("Parameters", [])}

    def _has_changes(self, change_set: str, new_stack: str | None) -> bool:
        while True:
            found = self._aws.describe_change_set(ChangeSetName=change_set)
            if found["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
                break
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        if found["Status"] == "FAILED":
            reason = found.get("StatusReason", "")
            self._aws.delete_change_set(ChangeSetName=change_set)
            if "didn't contain changes" in reason or "No updates are to be performed" in reason:
                return False
            if new_stack:
                # Of which there is nothing but the name.
                self._aws.delete_stack(StackName=new_stack)
            raise StoppedError(reason)
        for page in self._aws.get_paginator("describe_change_set").paginate(ChangeSetName=change_set):
            for change in page["Changes"]:
                resource = change["ResourceChange"]
                replaced = ", replaced" if resource.get("Replacement") == "True" else ""
                print(f"{resource['Action'].lower():<8} {resource['LogicalResourceId']}{replaced}")
        return True

    def _events(self, stack_id: str | None = None) -> "list[StackEventTypeDef]":
        """All that were not told yet, oldest first."""
        news: list[StackEventTypeDef] = []
        for page in self._aws.get_paginator("describe_stack_events").paginate(StackName=stack_id or self.name):
            events = page["StackEvents"]
            news += [event for event in events if event["EventId"] not in self._told]
            # The newest come first. Who asks for all pages again and again is soon refused (Rate exceeded).
            if any(event["EventId"] in self._told for event in events):
                break
        self._told.update(event["EventId"] for event in news)
        return news[::-1]

    def _remember_events(self) -> None:
        self._events()
        self._failures.clear()

    def _follow(self, stack_id: str) -> str:
        """Tell events until the stack is at rest; says how it ended."""
        begun = False
        while True:
            try:
                status = self.status(stack_id) or "DELETE_COMPLETE"
                events = self._events(stack_id)
            except (ClientError, BotoCoreError) as error:
                raise StoppedError(f"{_words(error).rstrip('.')}. {_GOES_ON}") from error
            for event in events:
                begun = True
                reason = event.get("ResourceStatusReason")
                words = f"{event['ResourceStatus']:<28} {event['LogicalResourceId']}{f': {reason}' if reason else ''}"
                print(words, flush=True)
                # Those that were cancelled failed because of another.
                if event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in (reason or ""):
                    self._failures.append(" ".join(words.split()))
            # Just after it was told to, it may still be at the rest that it was in before.
            if not status.endswith("_IN_PROGRESS") and (begun or status == "DELETE_COMPLETE"):
                return status
            time.sleep(_SECONDS_BETWEEN_LOOKS)


def _words(error: Exception) -> str:
    """What AWS says, without the name of the call: what is to be changed is said behind it."""
    return error.response["Error"]["Message"] if isinstance(error, ClientError) else str(error)


def _refuse_contradictions(values: Mapping[str, str]) -> None:
    """What no template can say beforehand, and AWS only in the midst; raises StoppedError."""
    smallest, largest = values.get("MinSize", ""), values.get("MaxSize", "")
    if smallest.isdigit() and largest.isdigit() and int(largest) <= int(smallest):
        raise StoppedError("MaxSize must be more than MinSize: a new instance starts before an old one goes.")
    blocks = [values.get(name, "") for name in ("VPCCIDRBlock", "SubnetACIDRBlock", "SubnetBCIDRBlock")]
    try:
        # Of what is no network the template has a word to say; an address alone would be one.
        whole, first, second = (ipaddress.IPv4Network(block if "/" in block else "", strict=False) for block in blocks)
    except ValueError:
        return
    if not (first.subnet_of(whole) and second.subnet_of(whole)):
        raise StoppedError("SubnetACIDRBlock and SubnetBCIDRBlock must lie within VPCCIDRBlock.")
    if first.overlaps(second):
        raise StoppedError("SubnetACIDRBlock and SubnetBCIDRBlock must have no address in common.")


def _checked_out() -> str:
    head = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    try:
        return subprocess.run(head, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        raise StoppedError("this is no checkout of git: say CommitID=<commit>.") from None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--delete", action="store_true", help="end the stack; the originals are kept")
    instead.add_argument("--changes", action="store_true", help="only tell what an update would change")
    instead.add_argument("--commit", action="store_true", help="only tell the commit that it has, or nothing")
    arguments = parser.parse_args()
    variables = {name: value for name, value in os.environ.items() if value}
    try:
        # boto3 knows AWS_DEFAULT_REGION only, AWS's own tools both.
        session = boto3.Session(region_name=variables.get("AWS_REGION"))
        stack = Stack(variables.get("STACK_NAME", "thumbstack"), session)
        if arguments.delete:
            stack.delete()
        elif arguments.commit:
            print(stack.commit())
        else:
            given = {"CommitID": variables.get("CommitID") or _checked_out()} | variables
            stack.update(given, only_tell=arguments.changes)
        sys.stdout.flush()
    except NoCredentialsError:
        sys.exit("update_stack: no credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
    except NoRegionError:
        sys.exit("update_stack: no region: set AWS_REGION.")
    # ValueError is what boto3 says of an endpoint that is no address.
    except (StoppedError, ClientError, BotoCoreError, ValueError) as error:
        sys.exit(f"update_stack: {_words(error)}")
    except BrokenPipeError:
        # What is not read yet would be one complaint more, when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(f"update_stack: nobody reads this any more. {_GOES_ON}")
    except KeyboardInterrupt:
        print(f"\nupdate_stack: no longer looking. {_GOES_ON}", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
