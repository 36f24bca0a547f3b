# The example service, and a tier that can be broken: what deploy/kubernetes/example runs.
FROM scratch
COPY root /
USER 65532:65532
ENTRYPOINT ["/service"]
