# One image for both processes: `--target api` and `--target gateway` differ in what they start.
#
# Every package comes as a wheel, so that no compiler is needed, here or in what is run. Steps are relative to WORKDIR;
# tests/deployment/test_image.py follows them in a clean folder, and knows only what is used here.

FROM python:3.13-slim AS build
WORKDIR /daveslist
RUN python -m venv .venv
COPY requirements/production.lock requirements/
RUN .venv/bin/python -m pip install --disable-pip-version-check --no-cache-dir --no-deps --only-binary :all: -r requirements/production.lock
# What runs has no use for an installer.
RUN .venv/bin/python -m pip uninstall --disable-pip-version-check --yes --quiet pip
COPY schema.sql ./
COPY shared shared/
COPY api api/
COPY gateway gateway/
COPY clients clients/
RUN .venv/bin/python -m compileall -q .venv/lib shared api gateway
# An empty folder, and not below /daveslist: it would come along from there as root's, and a copy does not change whose a
# folder is that exists.
WORKDIR /data

FROM python:3.13-slim AS base
WORKDIR /daveslist
COPY --from=build /daveslist /daveslist
# A volume that is mounted here first takes over who owns the folder.
COPY --from=build --chown=10001:10001 /data /daveslist/data
ENV PATH=/daveslist/.venv/bin:$PATH
ENV PYTHONDONTWRITEBYTECODE=1
ENV PYTHONUNBUFFERED=1
ENV ENVIRONMENT=production
ENV DATA_DIRECTORY=/daveslist/data
# Nobody: all that it may write to is the data.
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
