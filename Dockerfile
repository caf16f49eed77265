# Three images: `sandbox`, `portal` (worker, migrations, tools), and `api`, which is `portal` with a health check.
FROM python:3.13-slim AS dependencies
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PROJECT_ENVIRONMENT=/opt/portal UV_PYTHON_DOWNLOADS=never
WORKDIR /src
RUN pip install --no-cache-dir uv==0.13.8
# Alone, so that a change of code installs no dependency again. uv leaves its lock open to everybody.
COPY pyproject.toml uv.lock ./
# The lock speaks of the development tools, too, so uv compares it with what they ask for; it installs none of them.
COPY devtools/pyproject.toml devtools/
RUN uv sync --locked --no-default-groups --no-install-project && rm /opt/portal/.lock

FROM dependencies AS build
COPY README.md LICENSE ./
COPY app app
COPY migrations migrations
RUN uv sync --locked --no-default-groups --no-editable && rm /opt/portal/.lock

FROM dependencies AS build-sandbox
RUN uv sync --locked --no-default-groups --group sandbox --no-install-project && rm /opt/portal/.lock

# Digital River for a machine without one. Not for production.
FROM python:3.13-slim AS sandbox
RUN useradd --system --uid 10001 portal
COPY --from=build-sandbox /opt/portal /opt/portal
COPY sandbox /srv/sandbox
WORKDIR /srv
USER 10001
ENV PATH=/opt/portal/bin:$PATH PYTHONUNBUFFERED=1 SANDBOX_HOST=0.0.0.0
EXPOSE 8800
CMD ["python", "-m", "sandbox"]

FROM python:3.13-slim AS portal
RUN useradd --system --uid 10001 portal
COPY --from=build /opt/portal /opt/portal
WORKDIR /srv
USER 10001
ENV PATH=/opt/portal/bin:$PATH PYTHONUNBUFFERED=1 PORTAL_HOST=0.0.0.0
CMD ["portal", "worker"]

# A worker has no port to ask, so only this one has a check. http.client obeys no proxy.
FROM portal AS api
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import http.client, os, sys; api = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('PORTAL_PORT', '8000')), timeout=2); api.request('GET', '/health/live'); sys.exit(api.getresponse().status != 200)"]
CMD ["portal", "api"]
