# The appliance: one static binary and nothing else. docs/container.md says how
# to build it and how to run it.
#
# There is no /data in the image on purpose. With a forgotten mount the server
# does not start; an empty directory would be served, and a client with
# --delete would empty its copy.
FROM scratch
COPY bin/image/root/ /
# An empty directory that belongs to the server: a new volume takes its owner.
COPY --chown=65532:65532 bin/image/state/ /var/lib/
# RRSERVE_IMAGE makes PUBLIC_KEY, PUBLIC_KEY_FILE and PUBLIC_KEY_DIR count.
ENV RRSERVE_IMAGE=1 \
    RRSERVE_ROOT=/data \
    RRSERVE_STATE_DIR=/var/lib/rrserve \
    RRSERVE_LISTEN=:22
# The host key is in here. Without a volume that stays, every new container has
# a new one, and clients refuse to talk to it.
VOLUME ["/var/lib/rrserve"]
# Numeric, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 22/tcp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=60s --timeout=10s CMD ["/rrserve", "healthcheck"]
ENTRYPOINT ["/rrserve"]
