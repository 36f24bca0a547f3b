# Grafana with this project's board, in the demo cluster. Its image comes from a registry.
FROM grafana/grafana:12.0.2
COPY grafana/provisioning /etc/grafana/provisioning
COPY grafana/commontrip.json /etc/grafana/boards/
