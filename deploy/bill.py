"""The bill of materials of an image: its Debian and Python packages, read from its files, in CycloneDX."""

import contextlib
import json
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from datetime import datetime
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

_DPKG = "var/lib/dpkg/status"


def is_of(path: Path, image: str, identity: str) -> bool:
    """Whether that file is the bill of this very image, under this very name."""
    # One that was not written to its end is none.
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError):
        return bool(json.loads(path.read_text())["serialNumber"] == _serial_number(image, identity).urn)
    return False


def write(image: str, identity: str, commit: str, created: str) -> str:
    """What is in an image, which is known to the engine by that name; the same image gives the same bill."""
    packages = sorted(_packages(image), key=lambda one: str(one.purl))
    bom = Bom(serial_number=_serial_number(image, identity), components=packages)
    name = image.rpartition(":")[0]
    bom.metadata.component = Component(name=name, version=commit, type=ComponentType.CONTAINER, bom_ref=identity)
    bom.register_dependency(bom.metadata.component, packages)
    # Where it was not built from a commit, there is no date that would be the same tomorrow.
    with contextlib.suppress(ValueError):
        bom.metadata.timestamp = datetime.fromisoformat(created)
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2) + "\n"


def _serial_number(image: str, identity: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{image}@{identity}")


def _packages(image: str) -> Iterator[Component]:
    """All packages that the image's own files name. Nothing in it is run, as one of them has nothing to run."""
    # Never started: it needs a command all the same.
    container = subprocess.run(
        ["docker", "create", image, "none"], check=True, capture_output=True, text=True
    ).stdout.strip()
    try:
        with (
            subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE) as exporting,
            tarfile.open(fileobj=exporting.stdout, mode="r|") as files,
        ):
            for file in files:
                if file.name == _DPKG and (status := files.extractfile(file)):
                    yield from _debian(status.read())
                elif file.name.endswith(".dist-info/METADATA") and (metadata := files.extractfile(file)):
                    yield _python(BytesParser().parsebytes(metadata.read(), headersonly=True))
    finally:
        subprocess.run(["docker", "rm", container], check=True, capture_output=True)


def _debian(status: bytes) -> Iterator[Component]:
    for stanza in status.split(b"\n\n"):
        package = BytesParser().parsebytes(stanza, headersonly=True)
        if not package["Package"] or package["Status"] != "install ok installed":
            continue
        name, version = package["Package"], package["Version"]
        purl = PackageURL("deb", "debian", name, version, {"arch": package["Architecture"]})
        yield Component(name=name, version=version, type=ComponentType.LIBRARY, purl=purl, bom_ref=str(purl))


def _python(package: "Message[str, str]") -> Component:
    name, version = package["Name"], package["Version"]
    purl = PackageURL("pypi", None, name, version)
    return Component(name=name, version=version, type=ComponentType.LIBRARY, purl=purl, bom_ref=str(purl))
