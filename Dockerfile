# Nudges in one image: `serve` by default, `worker` for machines that only send. See docs/running.md.
FROM python:3.11-slim-bookworm AS build
WORKDIR /srv/nudges
RUN python -m venv /srv/venv
COPY requirements.txt ./
RUN /srv/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt

FROM python:3.11-slim-bookworm
WORKDIR /srv/nudges
RUN useradd --system --uid 10001 --home-dir /srv/nudges nudges && mkdir -p /srv/nudges/var && chown nudges /srv/nudges/var
COPY --from=build /srv/venv /srv/venv
COPY app.py ./
COPY migrations ./migrations
COPY schedules ./schedules
COPY nudges ./nudges
ENV PATH=/srv/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 NUDGES_LOG=json
RUN python -m nudges lint
USER nudges
VOLUME /srv/nudges/var
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=90s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["python", "-m", "nudges"]
CMD ["serve", "--host", "0.0.0.0"]
