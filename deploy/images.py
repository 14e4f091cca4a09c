"""What `make build` has built: written down, pushed to a registry, removed. Compose's own words are read from stdin.

describe: also tags each image with the commit, and writes what is in it into dist/bills, one CycloneDX file an image.
push: to $REGISTRY, host and folder (a host alone gets the folder thumbstack), under the commit and as `latest`.
clean: removes the images of this commit, and their bills of materials.

Docker's own login is used (`docker login`), or REGISTRY_USER and REGISTRY_PASSWORD where they are set; for Amazon ECR
the credentials of AWS. No password is written anywhere but into a folder that is gone when the push has ended.
"""

import argparse
import base64
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from deploy import bill

ROOT = Path(__file__).parents[1]
BILLS = ROOT / "dist/bills"
_FOLDER = "thumbstack"
_ECR = re.compile(r"\d{12}\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")
# What registries and Docker say to who did not log in, or to whom this folder does not belong.
_NOT_ALLOWED = ("denied", "unauthorized", "no basic auth", "authentication required")


class StoppedError(Exception):
    """Why nothing more is done; a sentence that says what to change."""


@dataclass(frozen=True)
class Image:
    """One image of this build."""

    name: str
    """What Compose calls it, with its tag: thumbstack/nginx:latest"""
    commit: str
    created: str
    """The commit's date, ISO 8601"""

    @property
    def room(self) -> str:
        return self.name.rpartition(":")[0].rpartition("/")[2]

    @property
    def by_commit(self) -> str:
        return f"{self.name.rpartition(':')[0]}:{self.commit}"

    @property
    def bill(self) -> Path:
        return BILLS / f"{self.room}.cdx.json"

    def described(self, name: str) -> Any:
        """What the engine knows of the image of that name; None where it has none."""
        found = _docker("image", "inspect", name)
        if "No such image" in found.stderr:
            return None
        if found.returncode:
            raise StoppedError(f"Docker does not answer: {found.stderr.strip()}")
        return json.loads(found.stdout)[0]

    def built(self) -> Any:
        """What the engine knows of it, if it is of this commit."""
        found = self.described(self.by_commit)
        if found is None:
            raise StoppedError(f"{self.by_commit} is not there: run `make build` first.")
        return found


def images(compose: Any) -> list[Image]:
    """Those that Compose builds, of what `docker compose config` says."""
    found = []
    for service in compose["services"].values():
        if arguments := service.get("build", {}).get("args"):
            found.append(Image(service["image"], arguments["GIT_COMMIT"], arguments["CREATED"]))
    return found


def describe(built: list[Image]) -> None:
    """Tag each with its commit, and write down what is in it; of one that is as it was there is nothing to do."""
    BILLS.mkdir(parents=True, exist_ok=True)
    for image in built:
        _done(_docker("image", "tag", image.name, image.by_commit))
        identity = image.built()["Id"]
        if not bill.is_of(image.bill, image.by_commit, identity):
            try:
                text = bill.write(image.by_commit, identity, image.commit, image.created)
            except (subprocess.CalledProcessError, tarfile.TarError) as error:
                why = getattr(error, "stderr", "").strip() or error
                raise StoppedError(f"What is in {image.by_commit} cannot be read: {why}") from error
            image.bill.write_text(text)
        print(f"{image.by_commit}  {image.bill.relative_to(ROOT)}")


def push(built: list[Image], registry: str, environment: Mapping[str, str]) -> None:
    """Push each under its commit and as `latest`."""
    if not registry:
        raise StoppedError(
            "REGISTRY is not set. Say where to: make push REGISTRY=docker.io/<you>, "
            "or REGISTRY=<account>.dkr.ecr.<region>.amazonaws.com for Amazon ECR."
        )
    host, _, folder = registry.rstrip("/").partition("/")
    folder = folder or _FOLDER
    for image in built:
        image.built()
    ecr = _ECR.fullmatch(host)
    login = _ecr_login(host, folder, built, ecr["region"]) if ecr else _own_login(host, environment)
    with _logged_in(login) as docker:
        for image in built:
            for tag in (image.commit,) if ecr else (image.commit, "latest"):
                _push(image, f"{host}/{folder}/{image.room}:{tag}", host, docker)


def _push(image: Image, target: str, host: str, environment: Mapping[str, str]) -> None:
    print(f"pushing {target}", flush=True)
    command = ["docker", "image", "push", target]
    try:
        _done(_docker("image", "tag", image.by_commit, target))
        with subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as pushing:
            assert pushing.stdout  # noqa: S101 - it was asked for
            said = ""
            for line in pushing.stdout:
                said += line
                # Each layer is also told when its turn has not come.
                if not line.rstrip().endswith((": Preparing", ": Waiting")):
                    print(f"  {line}", end="", flush=True)
    finally:
        # A name for the way only.
        _docker("image", "rm", target)
    if pushing.returncode == 0:
        return
    reason = said.strip().rpartition("\n")[2]
    if "immutable" in said:
        raise StoppedError(f"{target} is there already with another content, and may not be changed: commit first.")
    if any(words in said.lower() for words in _NOT_ALLOWED):
        raise StoppedError(
            f"{host} does not let you push ({reason}): log in with `docker login {host}`, "
            "or set REGISTRY_USER and REGISTRY_PASSWORD; and see that the folder in REGISTRY is yours."
        )
    raise StoppedError(f"{target} could not be pushed: {reason}")


def _own_login(host: str, environment: Mapping[str, str]) -> Mapping[str, str] | None:
    user, password = environment.get("REGISTRY_USER"), environment.get("REGISTRY_PASSWORD")
    if not user and not password:
        return None
    if not user or not password:
        raise StoppedError("REGISTRY_USER and REGISTRY_PASSWORD go together: set both, or neither.")
    # Docker Hub's login has another name than its host.
    name = "https://index.docker.io/v1/" if host in ("docker.io", "index.docker.io") else host
    return {name: base64.b64encode(f"{user}:{password}".encode()).decode()}


def _ecr_login(host: str, folder: str, built: list[Image], region: str) -> Mapping[str, str]:
    """A login of twelve hours; repositories that are missing are made, as ECR makes none by itself."""
    try:
        ecr = boto3.client("ecr", region_name=region)
        for image in built:
            name = f"{folder}/{image.room}"
            try:
                # A commit is what instances start by, so nobody may change what it means. `latest` is none here.
                ecr.create_repository(
                    repositoryName=name,
                    imageTagMutability="IMMUTABLE",
                    imageScanningConfiguration={"scanOnPush": True},
                )
            except ecr.exceptions.RepositoryAlreadyExistsException:
                continue
            print(f"made the repository {name}")
        return {host: ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]}
    except ClientError as error:
        raise StoppedError(f"ECR refuses: {error.response['Error']['Message']}") from error
    except BotoCoreError as error:
        raise StoppedError(f"ECR cannot be asked: {error}") from error


@contextmanager
def _logged_in(login: Mapping[str, str] | None) -> Iterator[Mapping[str, str]]:
    """An environment in which Docker has this login and no other; without one, the environment as it is."""
    if login is None:
        yield os.environ
        return
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.json")
        config.write_text(json.dumps({"auths": {host: {"auth": token} for host, token in login.items()}}))
        yield {**os.environ, "DOCKER_CONFIG": folder}


def clean(built: list[Image]) -> None:
    """Remove the images of this commit; what another commit built stays, be it `latest`."""
    for image in built:
        if (found := image.described(image.by_commit)) is None:
            # Then the bill is another commit's.
            print(f"{image.by_commit} is not there")
            continue
        names = {image.by_commit, image.name} & set(found["RepoTags"])
        removed = _docker("image", "rm", *sorted(names))
        if removed.returncode:
            raise StoppedError(f"{image.by_commit} stays: {removed.stderr.strip()} (`make down` ends what uses it)")
        image.bill.unlink(missing_ok=True)
        print(f"removed {', '.join(sorted(names))}")


def _docker(*arguments: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise StoppedError("There is no docker here.") from None


def _done(command: "subprocess.CompletedProcess[str]") -> None:
    if command.returncode:
        raise StoppedError(command.stderr.strip())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["describe", "push", "clean"])
    what: str = parser.parse_args().what
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        built = images(json.load(sys.stdin))
        if what == "describe":
            describe(built)
        elif what == "push":
            push(built, os.environ.get("REGISTRY", ""), os.environ)
        else:
            clean(built)
    except json.JSONDecodeError:
        sys.exit(f"{what}: `docker compose config` named no images; why is above.")
    except StoppedError as error:
        sys.exit(f"{what}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"\n{what}: stopped")


if __name__ == "__main__":
    main()
