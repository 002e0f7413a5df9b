# One image for every process of Sluice; docker-compose.yml says which runs where.
FROM python:3.12-slim

RUN useradd --create-home --uid 10001 sluice \
    && install -d -o sluice -g sluice /data
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY --chown=root:root alembic.ini pyproject.toml ./
COPY shared shared
COPY web web
COPY worker worker
COPY cli cli

ENV DATA_DIR=/data BIND=0.0.0.0 PYTHONUNBUFFERED=1 \
    MALLOC_MMAP_THRESHOLD_=67108864 MALLOC_TRIM_THRESHOLD_=268435456
USER sluice
VOLUME /data
EXPOSE 8080
CMD ["gunicorn", "-c", "web/gunicorn_conf.py", "web.wsgi:app"]
