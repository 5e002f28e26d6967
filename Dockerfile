# One image for every service: docker run IMAGE holdfast.<service> [options]

FROM python:3.11-slim AS builder
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
# No pip in the environment itself: it is copied whole into the final image, which installs nothing.
RUN python3 -m venv --without-pip /opt/holdfast
WORKDIR /build
# The dependencies have a layer of their own, so that a change of the source does not fetch them again.
COPY pyproject.toml ./
RUN python3 -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > requirements.txt \
    && pip --python /opt/holdfast/bin/python install --requirement requirements.txt
COPY README.md LICENSE ./
COPY shared shared
COPY services services
RUN pip --python /opt/holdfast/bin/python install --no-deps .

FROM python:3.11-slim
# The public Python image carries no bytecode, and a read-only container could not keep any: without
# this each start would compile the standard library anew.
RUN python3 -m compileall -q -x '/(test|tests|idlelib|lib2to3|site-packages|dist-packages)/' \
        "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && groupadd --gid 10001 holdfast \
    && useradd --uid 10001 --gid holdfast --no-create-home --home-dir /var/lib/holdfast \
        --shell /usr/sbin/nologin holdfast \
    && install --directory --owner holdfast --group holdfast --mode 0750 \
        /var/lib/holdfast /run/holdfast
# A fresh volume takes the owner of the folder that it first covers. These are for compose.yaml, where
# one container prepares the volumes of all places and none runs as root.
RUN install --directory --owner holdfast --group holdfast --mode 0750 \
        /secrets /secrets/alpha /secrets/beta /secrets/witness /secrets/operator \
        /bus /bus/alpha /bus/beta /bus/witness
COPY --from=builder /opt/holdfast /opt/holdfast
# Safe path: a file in the working folder, which services write to, never passes for a module.
ENV PATH=/opt/holdfast/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1
USER 10001:10001
WORKDIR /var/lib/holdfast
ENTRYPOINT ["/opt/holdfast/bin/python", "-m"]
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Holdfast" \
      org.opencontainers.image.description="Keeps stateful services alive on a small group of virtualised hosts" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
