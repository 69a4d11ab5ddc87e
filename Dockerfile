# docker build -t progress-sidecar .
# docker run -p 127.0.0.1:8650:8650 -v progress:/data -e SIDECAR_TOKENS='admin:*:A-SECRET-OF-YOUR-OWN' progress-sidecar
#
# It listens on every address, so it starts only with tokens of yours: SIDECAR_TOKENS or SIDECAR_TOKENS_FILE.
# It runs with a read-only root; what it writes is in /data.
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/sidecar
COPY requirements/run.txt requirements/
RUN /opt/sidecar/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/run.txt \
    && /opt/sidecar/bin/pip check
COPY pyproject.toml README.md LICENSE ./
COPY sidecar sidecar
RUN /opt/sidecar/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/sidecar/bin/pip uninstall --yes pip

FROM python:3.13-slim-bookworm
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data sidecar \
    && install -d -o sidecar -g sidecar -m 700 /data
COPY --from=build /opt/sidecar /opt/sidecar
ARG SOURCE_COMMIT=
ENV PATH=/opt/sidecar/bin:$PATH \
    SOURCE_COMMIT=$SOURCE_COMMIT \
    PYTHONDONTWRITEBYTECODE=1 \
    SIDECAR_DATA_DIR=/data \
    SIDECAR_LISTEN_HOST=0.0.0.0
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8650
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --start-interval=2s CMD ["sidecar", "healthcheck"]
CMD ["sidecar", "serve"]
