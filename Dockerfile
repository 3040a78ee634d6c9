# Two images of the same program, `cpu` and `gpu` (which lets NVIDIA's container toolkit hand the driver in):
#
#   docker build --target cpu -t kinestream:cpu .
#   docker run --rm -v runs:/runs kinestream:cpu demo --out /runs/demo
#   docker run --rm --gpus all -v "$PWD:/videos:ro" -v runs:/runs kinestream:gpu run /videos/street.mp4 --out /runs/street
#
# What goes in is up to --build-arg EXTRAS=...: `all` has YOLO (AGPL-3.0: read what it asks of you) and with it torch,
# by default 5 GB of CUDA even in the `cpu` image; name the index of PyTorch's builds for the CPU in --build-arg PIP_ARGS
# to be rid of them. `parquet` is Apache-2.0 all through and under 1 GB: BlazePose, without YOLO and without the demo's
# photographs, which come with it.

ARG PYTHON_IMAGE=python:3.12.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS system
# What OpenCV's wheel loads from the system.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*
ENV PATH=/opt/kinestream/bin:$PATH \
    PYTHONUNBUFFERED=1

FROM system AS build
ARG EXTRAS=all
ARG PIP_ARGS=
# pip stays in the environment: the zoo takes models out of wheels with it.
RUN python -m venv /opt/kinestream
WORKDIR /src
# First what Kinestream needs, so that a change of its own text installs only that anew. The build asks for the two
# empty files; the real ones come later.
COPY pyproject.toml ./
RUN touch README.md LICENSE
RUN --mount=type=cache,target=/root/.cache/pip pip install ${PIP_ARGS} ".[${EXTRAS}]"
COPY . .
RUN pip install --no-cache-dir --no-deps --force-reinstall ${PIP_ARGS} .

FROM system AS runtime
# Models in /cache and results in /runs outlive the container. HOME and the settings of libraries lie in /tmp.
RUN useradd --uid 10001 --user-group --no-create-home kinestream \
    && install --directory --owner kinestream --group kinestream /cache /runs
ENV HOME=/tmp \
    KINESTREAM_CACHE=/cache \
    KINESTREAM_STATE=/cache/state
COPY --from=build /opt/kinestream /opt/kinestream
USER kinestream
WORKDIR /runs
VOLUME ["/cache", "/runs"]
# A run that fails ends the container by itself; this asks whether what it stands on is whole: libraries, models, disk.
HEALTHCHECK --interval=5m --timeout=30s --start-period=30s --retries=2 CMD ["kinestream", "doctor"]
ENTRYPOINT ["kinestream"]
CMD ["--help"]

FROM runtime AS gpu
# `video` is NVDEC and NVENC; without it the driver's decoder is not in the container.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video

FROM runtime AS cpu
