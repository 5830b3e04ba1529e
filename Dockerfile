# The app of mmemo and its endpoint for programs, on a CPU, x86-64 or ARM; see docs/how_to/run_at_the_edge.md.
#
#     docker build -t mmemo .
#     docker run --rm --network host mmemo
FROM python:3.11-slim AS build
COPY . /source
RUN python -m venv /opt/mmemo \
    && /opt/mmemo/bin/pip install --no-cache-dir --constraint /source/constraints.txt "/source[app]"

FROM python:3.11-slim
COPY --from=build /opt/mmemo /opt/mmemo
RUN useradd --create-home --uid 10001 mmemo
USER 10001
WORKDIR /home/mmemo
ENV PATH=/opt/mmemo/bin:$PATH PYTHONUNBUFFERED=1
# Without the token each request is refused with 401, by a server that is well.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "import http.client as h; c = h.HTTPConnection('127.0.0.1', 7860, timeout=4); c.request('GET', '/openapi.json'); exit(c.getresponse().status not in (200, 401))"]
ENTRYPOINT ["mmemo", "app"]
CMD ["--port", "7860"]
