# One image for every process. Any base with Python 3.11 or newer and its venv module will do, of any architecture:
#   docker build --build-arg BASE=python:3.11-slim-bookworm .
# `make image` builds the same without a Docker engine, over a base that it makes from Debian's packages.
ARG BASE=python:3.11-slim-bookworm
ARG BUILD_BASE=${BASE}

FROM ${BUILD_BASE} AS build
# Where packages come from, where it is not the default; stays in this stage.
ARG PIP_INDEX_URL
ARG PIP_CERT
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY requirements/build.txt requirements/image.txt requirements/
RUN python3 -m venv tools && tools/bin/pip install --quiet --no-deps --require-hashes --only-binary :all: -r requirements/build.txt && \
    python3 -m venv --without-pip /opt/modeltrust && \
    tools/bin/pip --python /opt/modeltrust install --quiet --no-deps --require-hashes --only-binary :all: -r requirements/image.txt
COPY pyproject.toml README.md LICENSE ./
COPY controller controller
COPY image/sbom.py image/
RUN tools/bin/pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir wheels . && \
    tools/bin/pip --python /opt/modeltrust install --quiet --no-deps --no-index wheels/*.whl && \
    /opt/modeltrust/bin/python image/sbom.py > /opt/modeltrust/sbom.cdx.json && \
    find /opt/modeltrust/lib -type d -path '*/numpy/*' -name tests -prune -exec rm -r {} + && \
    /opt/modeltrust/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/modeltrust/lib

FROM ${BASE}
COPY --from=build /opt/modeltrust /opt/modeltrust
# Compiled already, and the root is read-only. Everything that is written goes to /tmp.
ENV PATH=/opt/modeltrust/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
WORKDIR /tmp
# A number, so that the kubelet can see that it is not root; any other works as well (OpenShift chooses its own).
USER 65532:65532
ENTRYPOINT ["/opt/modeltrust/bin/modeltrust"]
