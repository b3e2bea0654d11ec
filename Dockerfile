# One image per service: docker build --build-arg SERVICE=detector --tag argo-detector:0.1.0 .
# SERVICE is registry, camera-gateway, detector, anonymizer or alerting; an image carries only the packages of its extra.
# This file is linted (make lint-docker). No image has been built from it yet: see docs/adr/0007-images-not-yet-built.md.
ARG PYTHON_IMAGE=python:3.13.9-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG SERVICE
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src

# Dependencies first: they change less often than the code.
COPY requirements/ requirements/
RUN python -m venv /build \
 && /build/bin/pip install --require-hashes --requirement requirements/build.txt \
 && python -m venv /opt/argo \
 && /opt/argo/bin/pip install --require-hashes --requirement "requirements/${SERVICE}.txt"

COPY pyproject.toml README.md CHANGELOG.md LICENSE ./
COPY mesh/ mesh/
COPY registry/ registry/
COPY camera_gateway/ camera_gateway/
COPY detector/ detector/
COPY anonymizer/ anonymizer/
COPY alerting/ alerting/
COPY protos/ protos/
RUN /build/bin/python -m hatchling build --target wheel --directory /dist \
 && /opt/argo/bin/pip install --no-index --no-deps /dist/*.whl \
 && ln --symbolic "argo-serve-${SERVICE}" /opt/argo/bin/serve \
 && test -x /opt/argo/bin/serve

FROM ${PYTHON_IMAGE}
ARG SERVICE
LABEL org.opencontainers.image.title="argo-${SERVICE}" \
      org.opencontainers.image.licenses="EUPL-1.2"
# grpc's core would write lines of its own between the JSON ones; onnxruntime's telemetry would write files.
ENV PATH="/opt/argo/bin:${PATH}" PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    GRPC_VERBOSITY=NONE ORT_DISABLE_TELEMETRY=1
COPY --from=build /opt/argo /opt/argo
# The chart asks for this very number (helm/argo/values.yaml, securityContext).
USER 10001:10001
# gRPC over mutual TLS, metrics and health over HTTP.
EXPOSE 8443 9090
ENTRYPOINT ["serve"]
