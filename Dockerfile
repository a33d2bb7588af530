# The service. Its release comes with the container, its commit with the image:
#   docker build --build-arg PETSAGE_COMMIT="$(git rev-parse HEAD)" --tag registry.example/petsage:v43 .
#   docker run --read-only --publish 8000:8000 --env PETSAGE_RELEASE=v43 registry.example/petsage:v43
FROM python:3.13-slim

WORKDIR /app
COPY requirements.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action ignore --only-binary=:all: --require-hashes -r requirements.txt

# The code runs from here, so nothing builds it: that would fetch build tools without hashes.
COPY petsage ./petsage
COPY deploy/healthcheck.py ./deploy/
COPY wsgi.py ./
# A read-only root file system takes no bytecode later.
RUN python -m compileall -q petsage wsgi.py deploy/healthcheck.py

ENV PORT=8000 PYTHONDONTWRITEBYTECODE=1
EXPOSE 8000
# A number, so that Kubernetes sees that it isn't root.
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["python", "deploy/healthcheck.py"]

# As in the Procfile.
CMD ["gunicorn", "--config", "python:petsage.server.gunicorn_conf", "wsgi:app"]

# Last, because it changes with every commit.
ARG PETSAGE_COMMIT=
ENV PETSAGE_COMMIT=$PETSAGE_COMMIT
