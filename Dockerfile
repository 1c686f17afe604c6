# The container image of Mediagraph: docs/container.md explains how to run it.
# test/package/ performs these steps without a container engine, and checks the rules of hadolint.
ARG NODE_VERSION=24

FROM node:${NODE_VERSION}-bookworm-slim AS build
WORKDIR /app
# npm needs the manifest of every workspace that the lock file names.
COPY package.json package-lock.json ./
COPY demo/package.json demo/
COPY examples/inbox/package.json examples/inbox/
RUN npm ci
COPY tsconfig.json LICENSE ./
COPY build build/
COPY schema/operations schema/operations/
COPY src src/
# A checkout with a strict umask has files that only their owner can read.
RUN npm run build && chmod -R a+rX dist schema package.json LICENSE

FROM node:${NODE_VERSION}-bookworm-slim AS libraries
WORKDIR /app
COPY package.json package-lock.json ./
# The CommonJS copy of GraphiQL has nine megabytes and is never loaded.
RUN npm ci --omit=dev --workspaces=false --ignore-scripts \
  && rm -r node_modules/@graphql-yoga/render-graphiql/cjs

FROM node:${NODE_VERSION}-bookworm-slim
# Debian removes old versions from its mirrors, so pinned versions would break the build with the next security update.
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ffmpeg libheif-examples poppler-utils tini \
  && rm -rf /var/lib/apt/lists/* \
  && groupadd --gid 10001 mediagraph \
  && useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --home-dir /app/data --shell /usr/sbin/nologin mediagraph \
  && install --directory --owner=10001 --group=10001 /app/data
WORKDIR /app
COPY --from=libraries /app/node_modules node_modules/
COPY --from=build /app/package.json /app/LICENSE ./
COPY --from=build /app/schema/operations schema/operations/
COPY --from=build /app/dist dist/

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Mediagraph" \
  org.opencontainers.image.description="One Apollo Federation subgraph over the media of WhatsApp, SMS and MMS providers." \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"

# MEDIA_HOST is the default of server.host.
ENV NODE_ENV=production \
  MEDIA_CONFIG=/etc/mediagraph/config.yaml \
  MEDIA_HOST=0.0.0.0
USER 10001:10001
VOLUME /app/data
EXPOSE 4000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --start-interval=2s --retries=3 \
  CMD ["node", "/app/dist/main.js", "health"]
# tini is process 1: it passes signals on, and removes processes whose parent has died.
ENTRYPOINT ["tini", "--", "node", "--max-semi-space-size=64", "/app/dist/main.js"]
CMD ["serve"]
