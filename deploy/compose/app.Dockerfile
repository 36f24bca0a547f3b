# The parts of the demo's fleet, and the operator's command line: two static binaries and nothing else.
FROM scratch
COPY demo commontrip /
USER 65532:65532
ENTRYPOINT ["/demo"]
