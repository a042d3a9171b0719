# The images of both processes: `--target api` and `--target gateway` differ only in what they start.
#
# Every package is a wheel, so neither the build nor the image needs a compiler. Paths are relative to WORKDIR, since
# tests/deployment/test_image.py runs these steps in a clean folder; it knows only the instructions that are used here.

FROM python:3.13.16-slim AS build
WORKDIR /daveslist
RUN python -m venv .venv
COPY requirements/production.lock requirements/
RUN .venv/bin/python -m pip install --disable-pip-version-check --no-cache-dir --no-deps --require-hashes --only-binary :all: -r requirements/production.lock
# The processes do not need an installer.
RUN .venv/bin/python -m pip uninstall --disable-pip-version-check --yes --quiet pip
COPY schema.sql ./
COPY grants.sql ./
COPY shared shared/
COPY api api/
COPY gateway gateway/
COPY clients clients/
RUN .venv/bin/python -m compileall -q .venv/lib shared api gateway
# The empty folder for the data is not below /daveslist: the first COPY below would copy it as root's, and the second COPY
# does not change the owner of an existing folder.
WORKDIR /data

FROM python:3.13.16-slim AS base
WORKDIR /daveslist
# The base image has its standard library as source only, and the user below may not write: each process, each health check too,
# would compile it anew.
RUN python -m compileall -q -x "[/](site-packages|tests?|idlelib|ensurepip)[/]" "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=build /daveslist /daveslist
# A new volume that is mounted here takes its owner from this folder.
COPY --from=build --chown=10001:10001 /data /daveslist/data
ENV PATH=/daveslist/.venv/bin:$PATH
ENV PYTHONDONTWRITEBYTECODE=1
ENV PYTHONUNBUFFERED=1
ENV ENVIRONMENT=production
ENV DATA_DIRECTORY=/daveslist/data
# A user without rights: it may write to the data folder only.
USER 10001:10001
STOPSIGNAL SIGTERM

FROM base AS gateway
ENV GATEWAY_HOST=0.0.0.0
ENV GATEWAY_PORT=4000
EXPOSE 4000
HEALTHCHECK --interval=5s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-m", "shared.healthcheck", "4000"]
CMD ["python", "-m", "gateway"]

FROM base AS api
ENV API_HOST=0.0.0.0
ENV API_PORT=4001
EXPOSE 4001
HEALTHCHECK --interval=5s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-m", "shared.healthcheck", "4001"]
CMD ["python", "-m", "api"]
