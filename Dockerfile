# The image of Spindel: one binary, no shell needed, not root, fit for a read-only root file system.
#
#   docker build -t spindel .
#
# The same sources give the same binary: dependencies are locked, paths and times of the build do not enter it. For an
# image that stays the same to the byte, name the base images by digest:
#
#   docker build -t spindel --build-arg RUST=rust:1.95-slim-bookworm@sha256:... --build-arg BASE=debian:bookworm-slim@sha256:... .
ARG RUST=rust:1.95-slim-bookworm
ARG BASE=debian:bookworm-slim

FROM ${RUST} AS build
WORKDIR /src
# Read by compilers for `__DATE__`, and by BuildKit for the times in the image.
ARG SOURCE_DATE_EPOCH=0
ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} \
    CARGO_INCREMENTAL=0 \
    CFLAGS="-ffile-prefix-map=/src=. -ffile-prefix-map=/usr/local/cargo=cargo" \
    RUSTFLAGS="--remap-path-prefix=/src=. --remap-path-prefix=/usr/local/cargo=cargo"
COPY . .
# What was downloaded and compiled stays with the builder, so that the next build compiles only what has changed.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --release --locked --package spindel \
    && install -D -m 755 target/release/spindel /out/spindel

FROM ${BASE}
# The base image trusts nobody yet; vendors are only called over TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/spindel /usr/local/bin/spindel
ENV SPINDEL_CONFIG=/etc/spindel/spindel.toml
# A number, so that an orchestrator can see that it is not root.
USER 10001:10001
WORKDIR /tmp
EXPOSE 8400
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["spindel", "health"]
ENTRYPOINT ["spindel"]
CMD ["serve"]
