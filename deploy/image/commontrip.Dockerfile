# The operator's command line and page: a static binary, the authorities of TLS, what it is made of, and nothing else. It
# writes nothing, so that it runs read-only. Without arguments it serves the page, on the loopback of its network.
FROM scratch
COPY root /
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s CMD ["/commontrip", "dashboard", "ping"]
ENTRYPOINT ["/commontrip"]
CMD ["dashboard"]
