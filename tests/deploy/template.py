"""cf_template.yaml, read, and what its tests look for in it."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import cfnlint.decode

from tests.deploy.environments import ROOT

TEMPLATE = ROOT / "cf_template.yaml"


def read() -> Any:
    """The template as cfn-lint understands it: !Ref X is {"Ref": "X"}."""
    found, problems = cfnlint.decode.decode(str(TEMPLATE))
    assert not problems
    # Plain dictionaries and lists compare and print as such.
    return json.loads(json.dumps(found))


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


def listed(one_or_more: Any) -> list[Any]:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


def plain(resource: Any) -> str:
    """A resource of the policy in short: what is before the interesting part is the same everywhere."""
    if isinstance(resource, dict):
        (value,) = resource.values()
        resource = value[0] if isinstance(value, list) else value
    resource = re.sub(r"^arn:\$\{AWS::Partition\}:[a-z]+:\$\{AWS::Region\}:\$\{AWS::AccountId\}:", "", resource)
    return re.sub(r"\$\{(\w+)(?:\.Arn)?\}", r"\1", resource)
