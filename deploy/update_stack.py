"""Creates or updates the service on AWS, telling what happens and why: `make update_stack` (docs/aws.md).

Parameters of cf_template.yaml are variables of their names; what is not given stays as it is, or has its default.
STACK_NAME names the stack, CommitID is the checkout's commit unless it is said. With --delete the stack is ended.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "cf_template.yaml"
# Only made again by the service, so they go with it; CloudFormation deletes no bucket that holds something.
_EMPTIED = ("ResultsBucket", "WebsiteBucket")
# Those that outlive it (DeletionPolicy).
_KEPT = ("PicturesBucket", "LogsBucket")
_SECONDS_BETWEEN_LOOKS = 2


class StoppedError(Exception):
    """Why nothing more is done; a sentence for who asked."""


class Stack:
    """One stack, and what was told of its events already."""

    def __init__(self, name: str, session: boto3.Session, template: Path = TEMPLATE) -> None:
        self.name = name
        self._template = template
        self._session = session
        self._aws: CloudFormationClient = session.client("cloudformation")
        self._told: set[str] = set()

    def status(self, stack_id: str | None = None) -> str | None:
        """What CloudFormation says of it; None where there is none. One that is gone is known by its id only."""
        try:
            return self._aws.describe_stacks(StackName=stack_id or self.name)["Stacks"][0]["StackStatus"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise

    def update(self, variables: Mapping[str, str]) -> None:
        """Bring it to the template and these variables; raises StoppedError where it did not get there."""
        template = self._template.read_text()
        status = self.status()
        if status == "ROLLBACK_COMPLETE":
            # A first creation that failed leaves this, and nothing but deleting is possible with it.
            print(f"{self.name} was never created whole: deleting what is left of it")
            self.delete()
            status = None
        new = status in (None, "REVIEW_IN_PROGRESS")
        change_set = f"update-{time.time_ns()}"
        made = self._aws.create_change_set(
            StackName=self.name,
            ChangeSetName=change_set,
            ChangeSetType="CREATE" if new else "UPDATE",
            TemplateBody=template,
            Parameters=self._parameters(template, variables, new),
            Capabilities=["CAPABILITY_IAM"],
            Tags=[{"Key": "service", "Value": "thumbstack"}],
        )
        if not self._has_changes(made["Id"]):
            self._aws.delete_change_set(ChangeSetName=made["Id"])
            print(f"No changes: {self.name} is as it should be.")
            return
        self._remember_events()
        self._aws.execute_change_set(ChangeSetName=made["Id"])
        ended = self._follow(made["StackId"])
        if ended not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            raise StoppedError(f"{self.name} is {ended}: the reasons are above.")
        for output in self._aws.describe_stacks(StackName=self.name)["Stacks"][0].get("Outputs", []):
            print(f"{output['OutputKey']:<20} {output['OutputValue']}")

    def delete(self) -> None:
        """End it; the buckets that hold what cannot be made again are kept, and named."""
        if self.status() is None:
            raise StoppedError(f"There is no stack {self.name}.")
        resources = {
            resource["LogicalResourceId"]: resource.get("PhysicalResourceId", "")
            for page in self._aws.get_paginator("list_stack_resources").paginate(StackName=self.name)
            for resource in page["StackResourceSummaries"]
        }
        stack_id = self._aws.describe_stacks(StackName=self.name)["Stacks"][0]["StackId"]
        # Twice: until they end, the instances may store something in a bucket that was just emptied.
        for _ in range(2):
            for bucket in filter(None, map(resources.get, _EMPTIED)):
                self._empty(bucket)
            self._remember_events()
            self._aws.delete_stack(StackName=stack_id)
            ended = self._follow(stack_id)
            if ended == "DELETE_COMPLETE":
                break
        else:
            raise StoppedError(f"{self.name} is {ended}: the reasons are above.")
        kept = [resources[logical] for logical in _KEPT if logical in resources]
        print(f"Gone. Kept, and billed until you delete them: {', '.join(kept) or 'nothing'}")

    def _empty(self, bucket: str) -> None:
        try:
            self._session.resource("s3").Bucket(bucket).objects.all().delete()
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise
        else:
            print(f"emptied {bucket}")

    def _parameters(self, template: str, variables: Mapping[str, str], new: bool) -> "list[ParameterTypeDef]":
        declared = self._aws.validate_template(TemplateBody=template)["Parameters"]
        names = [parameter["ParameterKey"] for parameter in declared]
        known = set() if new else self._known_parameters()
        return [
            {"ParameterKey": name, "ParameterValue": variables[name]}
            if name in variables
            else {"ParameterKey": name, "UsePreviousValue": True}
            for name in names
            if name in variables or name in known
        ]

    def _known_parameters(self) -> set[str]:
        stack = self._aws.describe_stacks(StackName=self.name)["Stacks"][0]
        return {parameter["ParameterKey"] for parameter in stack.get("Parameters", [])}

    def _has_changes(self, change_set: str) -> bool:
        while True:
            found = self._aws.describe_change_set(ChangeSetName=change_set)
            if found["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"):
                break
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        if found["Status"] == "FAILED":
            reason = found.get("StatusReason", "")
            if "didn't contain changes" in reason or "No updates are to be performed" in reason:
                return False
            raise StoppedError(reason)
        for change in found["Changes"]:
            resource = change["ResourceChange"]
            replaced = ", replaced" if resource.get("Replacement") == "True" else ""
            print(f"{resource['Action'].lower():<8} {resource['LogicalResourceId']}{replaced}")
        return True

    def _events(self, stack_id: str | None = None) -> list[tuple[str, str]]:
        """Id and words of all that was not told yet, oldest first."""
        news = []
        for page in self._aws.get_paginator("describe_stack_events").paginate(StackName=stack_id or self.name):
            for event in page["StackEvents"]:
                if event["EventId"] not in self._told:
                    reason = event.get("ResourceStatusReason", "")
                    words = f"{event['ResourceStatus']:<28} {event['LogicalResourceId']}"
                    news.append((event["EventId"], f"{words}: {reason}" if reason else words))
        return news[::-1]

    def _remember_events(self) -> None:
        self._told.update(event for event, _ in self._events())

    def _follow(self, stack_id: str | None = None) -> str:
        """Tell events until the stack is at rest; says how it ended."""
        while True:
            status = self.status(stack_id) or "DELETE_COMPLETE"
            for event, words in self._events(stack_id):
                self._told.add(event)
                print(words, flush=True)
            if not status.endswith("_IN_PROGRESS"):
                return status
            time.sleep(_SECONDS_BETWEEN_LOOKS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delete", action="store_true", help="end the stack; the originals are kept")
    arguments = parser.parse_args()
    variables = {name: value for name, value in os.environ.items() if value}
    if not variables.get("CommitID"):
        head = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
        variables["CommitID"] = subprocess.run(head, capture_output=True, text=True, check=True).stdout.strip()
    try:
        stack = Stack(variables.get("STACK_NAME", "thumbstack"), boto3.Session())
        if arguments.delete:
            stack.delete()
        else:
            stack.update(variables)
    except ClientError as error:
        # Without the name of the call: what is to be changed is said behind it.
        sys.exit(f"update_stack: {error.response['Error']['Message']}")
    except (StoppedError, BotoCoreError) as error:
        sys.exit(f"update_stack: {error}")


if __name__ == "__main__":
    main()
