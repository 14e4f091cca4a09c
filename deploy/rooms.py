"""The rooms as processes of one machine: what is started, with which variables, and how supervisord is told."""

import re
import ssl
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy import nginx
from s3.serve import LOOPBACK, ROOM_PORTS, free_ports

ROOT = Path(__file__).resolve().parent.parent
_BIN = Path(sys.executable).parent
PICTURES_BUCKET = "thumbstack-pictures"


class Settings(BaseSettings):
    """What may be chosen; each field is an environment variable of its name in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    port: int = Field(default=5000, ge=1, le=65535, description="the port of the service")
    host: str = Field(default=LOOPBACK, min_length=1, description="its address; 0.0.0.0 lets other machines in")
    data: Path = Field(default=Path(".data"), description="the folder that keeps pictures, keys and logs")
    thumbor_processes: int = Field(default=2, ge=1, le=32, description="how many Thumbor processes")
    open_app: str = Field(default="demo", description="the app that needs no key; empty: none, API_KEYS must name some")
    api_keys: str = Field(default="", repr=False, description='[{"app": ..., "public_key": ..., "private_key": ...}]')
    public_url: str = Field(default="", description="the address that URLs begin with; empty: the one that was asked")
    s3_endpoint: str = Field(
        default="",
        pattern=r"^(https?://[A-Za-z0-9.:_-]+)?$",
        description="an S3 that runs already, as http://host:port; the keys are those of DATA/secrets.env",
    )
    aws_region: str = Field(default="us-east-1", pattern=r"^[a-z0-9-]+$", description="the region of that S3")
    aws_ca_bundle: str = Field(
        default="", description="the file of certificates that it is believed by; empty: the system's"
    )
    presets_file: str = Field(default="", description="other presets than the shipped ones")
    app_rules: str = Field(
        default="", description='{"<app>": {"types": ["jpg"], "keep_location": true, "upright": true, "hold": true}}'
    )
    auto_orient_original: bool = Field(
        default=False, description="store JPEGs upright instead of marked as to be turned"
    )
    keep_location: bool = Field(default=False, description="leave GPS data in stored originals")
    warm_presets: str = Field(default="", description="presets rendered right after an upload: BI,MI,SI")
    scanner: str = Field(default="", description="virus scan: clamd://host:3310, clamd:///socket, http://..., /program")
    website_bucket: str = Field(
        default="thumbstack-website", description="the bucket of variants under readable names; empty: no /m/"
    )
    website_url: str = Field(
        default="", description="where the world sees that bucket; empty: /website of this service"
    )
    cors_origins: str = Field(default="", description="origins whose pages may use the API, parted by spaces; *: all")
    allowed_options: str = Field(default="", description="option strings, parted by spaces, that /t/ serves as well")
    cache_control: str = Field(
        default="", pattern=r"^[A-Za-z0-9 ,=_-]*$", description="how long originals may be kept; empty: a year"
    )
    decodes_at_once: int = Field(default=1, ge=1, description="pictures that each uploader process decodes at a time")
    s3_patience_seconds: int = Field(default=10, ge=1, description="the longest silence of S3 that is waited for")
    max_upload_bytes: int = Field(default=32 * 1024 * 1024, ge=1, description="the largest picture")
    max_request_bytes: int = Field(
        default=128 * 1024 * 1024, ge=1, description="the largest request, of one or many pictures"
    )
    max_resident_bytes: str = Field(
        default="", pattern=r"^\d*$", description="a process that holds more memory is replaced; empty: the room's own"
    )
    ticket_seconds: int = Field(default=3600, ge=1, le=7 * 24 * 3600, description="how long an upload ticket lives")
    upload_url: str = Field(
        default="",
        pattern=r"^(https?://[A-Za-z0-9.:/_-]+)?$",
        description="where browsers post tickets to; empty: to /direct here",
    )
    edge_cache_size: str = Field(default="2g", pattern=r"^\d+[kmg]$", description="how much nginx keeps on disk")
    edge_cache_min_free: str = Field(
        default="256m", pattern=r"^\d+[kmg]$", description="how much of that disk stays free, by keeping less"
    )
    edge_cache_index: str = Field(
        default="32m", pattern=r"^\d+[kmg]$", description="memory of what is kept: 8 000 pictures a megabyte"
    )
    misses_per_second: int = Field(default=50, ge=1, description="new pictures that one client may ask for, for long")
    misses_at_once: int = Field(
        default=100, ge=1, le=65535, description="... and at once, before it has to wait; more are never under way"
    )
    misses_burst: int = Field(
        default=200, ge=1, le=65535, description="... and waiting, before it is told to come again"
    )
    renders_at_once: int = Field(default=400, ge=1, le=65535, description="new pictures under way, of all clients")
    trusted_proxies: str = Field(
        default="",
        pattern=r"^[0-9A-Fa-f.:/, ]*$",
        description="load balancers, as addresses or networks, whose X-Forwarded-For is believed",
    )
    gomemlimit: str = Field(
        default="512MiB", pattern=r"^\d+([KMGT]i?)?B?$", description="the memory SeaweedFS tries to stay in"
    )
    start_seconds: int = Field(default=60, ge=1, description="how long a start may take")

    @property
    def edge(self) -> str:
        """Host and port as URLs and nginx write them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def reached_at(self) -> str:
        """The host under which this machine itself reaches the service, as URLs write it."""
        host = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"[{host}]" if ":" in host else host


def read_settings() -> Settings:
    """What the environment has chosen; a ValueError that names each variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = [f"{str(part['loc'][0]).upper()} is wrong: {part['msg']}" for part in error.errors(include_input=False)]
        raise ValueError("\n".join(wrong)) from None


@dataclass(frozen=True)
class Room:
    """One process."""

    name: str
    port: int
    command: str
    # Longer than the room's own patience with what it is doing, in seconds.
    stop_within: int
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    stop_signal: str = "TERM"
    # Where it tells Prometheus; 0: on its own port.
    metrics_port: int = 0


def plan(settings: Settings, keys: Mapping[str, str]) -> list[Room]:
    """All rooms, on ports that are free now. `keys`: SECURITY_KEYS and the S3's credentials."""
    data = settings.data.resolve()
    # The service's own port is free until nginx starts.
    room_ports = [port for port in ROOM_PORTS if port != settings.port]
    routes, uploader, signer, s3, s3_metrics, nginx_metrics, *thumbors = free_ports(
        6 + settings.thumbor_processes, room_ports
    )
    credentials = {name: keys[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    rights = {
        **credentials,
        # The embedded S3 has one region, whatever the shell has for others.
        "AWS_REGION": settings.aws_region if settings.s3_endpoint else "us-east-1",
        **({"AWS_CA_BUNDLE": settings.aws_ca_bundle} if settings.aws_ca_bundle else {}),
        # Nobody's own AWS configuration has a say here.
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "PICTURES_BUCKET": PICTURES_BUCKET,
    }
    buckets = {**rights, "RESULTS_BUCKET": "thumbstack-results", "WEBSITE_BUCKET": settings.website_bucket}
    client = {**buckets, "S3_ENDPOINT": settings.s3_endpoint or f"http://{LOOPBACK}:{s3}"}
    embedded_s3 = Room(
        "s3",
        s3,
        f"{sys.executable} s3/serve.py --data {data}/s3 --ip {LOOPBACK} --port {s3} --metrics-port {s3_metrics}",
        stop_within=25,
        environment={**buckets, "GOMEMLIMIT": settings.gomemlimit, "CORS_ORIGINS": settings.cors_origins},
        metrics_port=s3_metrics,
    )
    apps = {
        "SECURITY_KEYS": keys["SECURITY_KEYS"],
        "API_KEYS": settings.api_keys,
        "OPEN_APP": settings.open_app,
        "PUBLIC_URL": settings.public_url,
        "PRESETS_FILE": settings.presets_file,
        "WEBSITE_BUCKET": settings.website_bucket,
        "WEBSITE_URL": settings.website_url,
    }
    limits = {"APP_RULES": settings.app_rules, "MAX_UPLOAD_BYTES": str(settings.max_upload_bytes)}
    return [
        *([] if settings.s3_endpoint else [embedded_s3]),
        *(
            Room(
                f"thumbor-{number}",
                port,
                f"{_BIN}/thumbor --ip {LOOPBACK} --port {port} --conf thumbor/thumbor.conf",
                stop_within=20,
                environment={
                    **client,
                    "SECURITY_KEYS": keys["SECURITY_KEYS"],
                    "PYTHONPATH": f"{ROOT}:{ROOT}/thumbor",
                    "MAX_UPLOAD_BYTES": limits["MAX_UPLOAD_BYTES"],
                    "MAX_RESIDENT_BYTES": settings.max_resident_bytes,
                },
            )
            for number, port in enumerate(thumbors, 1)
        ),
        Room(
            "signer",
            signer,
            _gunicorn("signer", signer),
            stop_within=20,
            environment={
                **apps,
                "ALLOWED_OPTIONS": settings.allowed_options,
                "UPLOADER_SERVER": f"{LOOPBACK}:{uploader}",
                "MAX_RESIDENT_BYTES": settings.max_resident_bytes,
                "PROMETHEUS_MULTIPROC_DIR": f"{data}/run/metrics-signer",
                **rights,
                **limits,
                "AWS_SESSION_TOKEN": "",
                "TICKET_SECONDS": str(settings.ticket_seconds),
                "UPLOAD_URL": settings.upload_url,
            },
        ),
        Room(
            "uploader",
            uploader,
            _gunicorn("uploader", uploader),
            stop_within=70,
            environment={
                **client,
                **apps,
                **limits,
                "AUTO_ORIENT_ORIGINAL": str(settings.auto_orient_original),
                "KEEP_LOCATION": str(settings.keep_location),
                "WARM_PRESETS": settings.warm_presets,
                "SCANNER": settings.scanner,
                "CACHE_CONTROL": settings.cache_control,
                "DECODES_AT_ONCE": str(settings.decodes_at_once),
                "S3_PATIENCE_SECONDS": str(settings.s3_patience_seconds),
                "MAX_REQUEST_BYTES": str(settings.max_request_bytes),
                "EDGE_CACHE": f"{data}/cache",
                "TOMBSTONES": f"{data}/tombstones",
                "THUMBOR_SERVERS": ",".join(f"{LOOPBACK}:{port}" for port in thumbors),
                "SIGNER_SERVER": f"{LOOPBACK}:{signer}",
                "EDGE_SERVER": f"{settings.reached_at}:{settings.port}",
                "TMPDIR": f"{data}/spool",
                "MAX_RESIDENT_BYTES": settings.max_resident_bytes,
                "PROMETHEUS_MULTIPROC_DIR": f"{data}/run/metrics-uploader",
            },
        ),
        Room(
            "nginx",
            routes,
            f"{nginx.find()} -e stderr -c {data}/run/nginx/conf/nginx.conf -g 'daemon off;'",
            stop_within=80,
            # Ends what is under way; TERM would cut it off.
            stop_signal="QUIT",
            metrics_port=nginx_metrics,
        ),
    ]


def keepers(rooms: Iterable[Room]) -> Mapping[str, str]:
    """What the curator is told, which is no process of its own: what the uploader is, as far as it reads that."""
    told = next(room.environment for room in rooms if room.name == "uploader")
    its_own = ("PROMETHEUS_MULTIPROC_DIR", "MAX_RESIDENT_BYTES", "DECODES_AT_ONCE")
    return {name: value for name, value in told.items() if name not in its_own}


def _gunicorn(room: str, port: int) -> str:
    return f"{_BIN}/gunicorn --config {room}/gunicorn.conf.py --bind {LOOPBACK}:{port} {room}.wsgi:application"


def access_log(data: Path) -> Path:
    """The log that nginx writes itself."""
    return data / "logs" / "nginx-access.log"


def targets(rooms: Iterable[Room]) -> list[dict[str, object]]:
    """Where Prometheus finds the rooms' numbers, as its `file_sd_configs` reads it."""
    return [
        {
            "targets": [f"{LOOPBACK}:{room.metrics_port or room.port}"],
            "labels": {"job": room.name.partition("-")[0]},
        }
        for room in rooms
    ]


def nginx_variables(settings: Settings, rooms: Iterable[Room], commit: str) -> Mapping[str, str]:
    """What nginx's templates ask for."""
    data = settings.data.resolve()
    server = {room.name: f"{LOOPBACK}:{room.port}" for room in rooms}
    thumbors = [address for name, address in server.items() if name.startswith("thumbor-")]
    return {
        "EDGE_LISTEN": settings.edge,
        "ROUTES_LISTEN": server["nginx"],
        "METRICS_LISTEN": next(f"{LOOPBACK}:{room.metrics_port}" for room in rooms if room.name == "nginx"),
        "UPLOADER_SERVER": server["uploader"],
        "SIGNER_SERVER": server["signer"],
        # By default a process that failed once is left alone for 10 s, and with both left alone every miss is a 502.
        "THUMBOR_UPSTREAM": " ".join(f"server {address} max_fails=0;" for address in thumbors),
        "S3_ENDPOINT": settings.s3_endpoint or f"http://{server['s3']}",
        "WEBSITE_BUCKET": settings.website_bucket,
        # Asked for the name of another S3 and nothing else: every server above is an address.
        "RESOLVER": _name_server() if settings.s3_endpoint else LOOPBACK,
        "CA_BUNDLE": settings.aws_ca_bundle or _certificates(),
        "TRUSTED_PROXIES": settings.trusted_proxies,
        "MISSES_PER_SECOND": str(settings.misses_per_second),
        "MISSES_AT_ONCE": str(settings.misses_at_once),
        "MISSES_BURST": str(settings.misses_burst),
        "RENDERS_AT_ONCE": str(settings.renders_at_once),
        "EDGE_CACHE": f"{data}/cache",
        "EDGE_CACHE_SIZE": settings.edge_cache_size,
        "EDGE_CACHE_MIN_FREE": settings.edge_cache_min_free,
        "EDGE_CACHE_INDEX": settings.edge_cache_index,
        "TOMBSTONES": f"{data}/tombstones",
        "MAX_REQUEST_BYTES": str(settings.max_request_bytes),
        "MAX_DIRECT_BYTES": str(settings.max_upload_bytes + nginx.FORM_BYTES),
        "PICTURES_BUCKET": PICTURES_BUCKET,
        "RUN_DIR": f"{data}/run/nginx",
        "CORS_ORIGINS": settings.cors_origins,
        "CACHE_CONTROL": settings.cache_control or "public, max-age=31536000, immutable",
        # Not through supervisord: reading the pipe costs as much as answering from the cache. run.py rotates it.
        "ACCESS_LOG": f"{access_log(data)} json buffer=64k flush=1s",
        "UPLOAD_URL": settings.upload_url,
        "CLIENT_FILES": str(ROOT / "client" / "dist"),
        "GIT_COMMIT": commit,
    }


def _name_server() -> str:
    """Who this machine asks for addresses, as nginx writes it."""
    resolv = Path("/etc/resolv.conf")
    found = re.search(
        r"^nameserver\s+([0-9A-Fa-f.:]+)\s*$", resolv.read_text() if resolv.exists() else "", re.MULTILINE
    )
    if found is None:
        return LOOPBACK
    return f"[{found[1]}]" if ":" in found[1] else found[1]


def _certificates() -> str:
    """The certificates that this machine believes in; where OpenSSL has none in one file, those that requests has."""
    if found := ssl.get_default_verify_paths().cafile:
        return found
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    return str(DEFAULT_CA_BUNDLE_PATH)


def supervisord(rooms: Iterable[Room], data: Path) -> str:
    """The configuration of supervisord: no port, no socket; the door closes first, what the others need goes last."""
    order = {"s3": 10, "nginx": 30}
    sections = [
        f"[supervisord]\nnodaemon = true\nsilent = true\nlogfile = {data}/logs/supervisord.log\n"
        # One file a run: the launcher reads it whole.
        f"logfile_maxbytes = 0\npidfile = {data}/run/supervisord.pid\nchildlogdir = {data}/logs\n"
    ]
    # A group stops together; groups stop one after another, the highest number first.
    inner = ",".join(room.name for room in rooms if room.name not in order)
    sections.append(f"[group:rooms]\nprograms = {inner}\npriority = 20\n")
    for room in rooms:
        environment = ",".join(f"{name}={_quoted(name, value)}" for name, value in room.environment.items())
        lines = {
            "command": room.command,
            "directory": str(ROOT),
            "environment": environment,
            "priority": str(order.get(room.name, 20)),
            "autorestart": "true",
            # Killed again and again, a room still comes back; each time supervisord waits a second longer.
            "startretries": "20",
            # Who ends sooner has not started, which counts as one of those tries; after the last supervisord gives up.
            "startsecs": "5",
            "stopsignal": room.stop_signal,
            "stopwaitsecs": str(room.stop_within),
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": f"{data}/logs/{room.name}.log",
            "stdout_logfile_maxbytes": "10MB",
            "stdout_logfile_backups": "3",
        }
        # % begins an expression in supervisord's language.
        body = "".join(f"{name} = {value.replace('%', '%%')}\n" for name, value in lines.items())
        sections.append(f"[program:{room.name}]\n{body}")
    return "\n".join(sections)


def _quoted(name: str, value: str) -> str:
    if re.search(r"['\n]|\s[;#]", value):
        raise ValueError(f"{name} must be one line, without ' and without ; or # after a space")
    return f"'{value}'"
