# One image a room, all from one base: docker build --target uploader .
# Any Debian 13 will do as the base: the one of a mirror, or a stand-in made without a registry (.ci/docker-engine).
ARG BASE=debian:trixie-slim

# What every room has.
FROM ${BASE} AS base
ARG DEBIAN_FRONTEND=noninteractive
# Certificates: the slim base has none, and AWS's S3 is reached over TLS.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
# One user in all images, by number: nginx and the uploader write into the same volumes, and a deleted picture's cached
# copies are removed by the uploader. The folders belong to it here because a new volume takes its owner from the image.
RUN groupadd --gid 10001 thumbstack \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin thumbstack \
    && install -d -o 10001 -g 10001 /data /run/nginx /var/spool/thumbstack \
        /var/cache/thumbstack/edge /var/lib/thumbstack/tombstones
# A health check without curl in the images.
COPY deploy/healthy /usr/local/bin/
WORKDIR /srv

# Python 3.13, as Debian builds and mends it.
FROM base AS python
RUN apt-get update && apt-get install -y --no-install-recommends python3 && rm -rf /var/lib/apt/lists/*
# The root file system is read-only, so nothing could be written beside the modules. Logs must not wait in a buffer.
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONPATH=/srv PATH=/opt/venv/bin:$PATH

# The one stage with an installer in it; no image is made from it.
FROM python AS installer
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY requirements-uv.lock ./
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir --require-hashes -r requirements-uv.lock
COPY pyproject.toml requirements.lock ./
# Only what a room's group names is installed, in the version and with the hash that the lock holds for all rooms; what the
# lock does not know is an error. Byte code is compiled here because later nobody may write it. Copied, not linked: the
# cache is another file system.
ENV PATH=/opt/uv/bin:$PATH VIRTUAL_ENV=/opt/venv \
    UV_CONSTRAINT=requirements.lock UV_REQUIRE_HASHES=1 UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
RUN uv venv /opt/venv

FROM installer AS uploader-packages
RUN --mount=type=cache,target=/root/.cache/uv uv pip install --requirements pyproject.toml --group uploader

FROM installer AS signer-packages
RUN --mount=type=cache,target=/root/.cache/uv uv pip install --requirements pyproject.toml --group signer

FROM installer AS thumbor-packages
RUN --mount=type=cache,target=/root/.cache/uv uv pip install --requirements pyproject.toml --group thumbor

FROM installer AS curator-packages
RUN --mount=type=cache,target=/root/.cache/uv uv pip install --requirements pyproject.toml --group curator

FROM installer AS s3-packages
RUN --mount=type=cache,target=/root/.cache/uv uv pip install --requirements pyproject.toml --group s3

# Last of what the Python rooms share, because it changes with every commit. After it only files are copied, so that a new
# commit builds in a second. CREATED is the commit's own date: the same commit gives the same image, anywhere.
FROM python AS room
ARG GIT_COMMIT=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.revision=$GIT_COMMIT org.opencontainers.image.created=$CREATED
ENV GIT_COMMIT=$GIT_COMMIT
USER 10001:10001

FROM room AS uploader
COPY --from=uploader-packages /opt/venv /opt/venv
COPY thumbstack thumbstack
COPY uploader uploader
# Bodies that do not fit into memory wait here: a volume, never memory.
ENV TMPDIR=/var/spool/thumbstack
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=5s --retries=3 --start-period=30s CMD ["healthy", "8000", "/healthz"]
CMD ["gunicorn", "--config", "uploader/gunicorn.conf.py", "--bind", "0.0.0.0:8000", "uploader.wsgi:application"]

FROM room AS signer
COPY --from=signer-packages /opt/venv /opt/venv
COPY thumbstack thumbstack
COPY signer signer
# Not 8000, as the uploader has: Docker may give one room's address to the other when both restart, and until nginx looks
# again a request for the one should find a closed port rather than the wrong room.
EXPOSE 8001
HEALTHCHECK --interval=5s --timeout=5s --retries=3 --start-period=30s CMD ["healthy", "8001", "/healthz"]
CMD ["gunicorn", "--config", "signer/gunicorn.conf.py", "--bind", "0.0.0.0:8001", "signer.wsgi:application"]

# Text in an SVG is left out where there is no font.
FROM base AS fonts
RUN apt-get update && apt-get install -y --no-install-recommends fonts-dejavu-core && rm -rf /var/lib/apt/lists/*

FROM room AS thumbor
COPY --from=fonts /usr/share/fonts /usr/share/fonts
COPY --from=thumbor-packages /opt/venv /opt/venv
COPY thumbstack thumbstack
COPY thumbor thumbor
# Our extensions are top-level modules: an __init__.py in thumbor/ would hide Thumbor itself.
ENV PYTHONPATH=/srv:/srv/thumbor
EXPOSE 8888
HEALTHCHECK --interval=5s --timeout=5s --retries=3 --start-period=30s CMD ["healthy", "8888", "/healthcheck"]
CMD ["thumbor", "--ip", "0.0.0.0", "--port", "8888", "--conf", "thumbor/thumbor.conf"]

FROM room AS curator
COPY --from=curator-packages /opt/venv /opt/venv
COPY thumbstack thumbstack
COPY curator curator
# Each command by its name: docker compose exec curator usage
ENV PATH=/srv/curator/bin:$PATH TMPDIR=/var/spool/thumbstack
# It waits for commands; being there is all that it does meanwhile. The first look comes after one interval, and `up --wait`,
# so each start of an instance, waits for that.
HEALTHCHECK --interval=5s --timeout=5s --retries=3 CMD ["test", "-x", "/srv/curator/bin/curator"]
CMD ["curator/idle"]

# Only where there is no AWS.
FROM room AS s3
COPY --from=s3-packages /opt/venv /opt/venv
COPY thumbstack thumbstack
COPY s3 s3
EXPOSE 8333
# After an unclean stop the volumes are checked before it answers, which takes as long as there are pictures.
HEALTHCHECK --interval=5s --timeout=5s --retries=3 --start-period=300s CMD ["healthy", "8333", "/healthz"]
CMD ["python", "s3/serve.py", "--data", "/data", "--ip", "0.0.0.0", "--port", "8333", "--metrics-port", "9327"]

# No room: what an instance on AWS needs beside the images to start them, so that it comes with the commit, too.
FROM scratch AS instance
ARG GIT_COMMIT=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.revision=$GIT_COMMIT org.opencontainers.image.created=$CREATED
COPY compose.yaml deploy/instance deploy/healthy /thumbstack/

FROM base AS nginx
ARG DEBIAN_FRONTEND=noninteractive
# gettext-base has envsubst, which fills in the templates.
RUN apt-get update && apt-get install -y --no-install-recommends nginx gettext-base && rm -rf /var/lib/apt/lists/*
ARG GIT_COMMIT=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.revision=$GIT_COMMIT org.opencontainers.image.created=$CREATED
ENV GIT_COMMIT=$GIT_COMMIT RUN_DIR=/run/nginx CLIENT_FILES=/srv/client/dist
COPY client/dist client/dist
COPY nginx nginx
USER 10001:10001
EXPOSE 5000
# SIGTERM would cut off every download and upload under way; SIGQUIT lets them end.
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=5s --timeout=5s --retries=3 --start-period=30s CMD ["healthy", "5000", "/healthz"]
CMD ["nginx/start.sh"]
