FROM python:3.13-slim AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PROJECT_ENVIRONMENT=/opt/portal UV_PYTHON_DOWNLOADS=never
WORKDIR /src
RUN pip install --no-cache-dir uv==0.13.8
COPY pyproject.toml uv.lock README.md LICENSE ./
COPY app app
COPY migrations migrations
RUN uv sync --locked --no-default-groups --no-editable

FROM build AS build-sandbox
COPY sandbox sandbox
RUN uv sync --locked --no-default-groups --group local --no-editable

# Digital River for a machine without one. Not for production.
FROM python:3.13-slim AS sandbox
RUN useradd --system --uid 10001 portal
COPY --from=build-sandbox /opt/portal /opt/portal
COPY --from=build-sandbox /src/sandbox /srv/sandbox
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
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/live', timeout=2)"]
CMD ["portal", "api"]
