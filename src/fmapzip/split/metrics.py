"""What a server counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.images = Counter("fmapzip_images", "Images, by what became of them.", ["outcome"], registry=self.registry)
        self.received = Counter("fmapzip_received_bytes", "Bytes of frames.", registry=self.registry)
        self.sent = Counter("fmapzip_sent_bytes", "Bytes of outputs.", registry=self.registry)
        self.refused = Counter(
            "fmapzip_refused_streams", "Streams that were refused, by reason.", ["reason"], registry=self.registry
        )
        self.reloads = Counter(
            "fmapzip_reloads", "Times that the split was read again.", ["outcome"], registry=self.registry
        )
        self.streams = Gauge("fmapzip_streams", "Streams that are open.", registry=self.registry)
        self.waiting = Gauge("fmapzip_waiting_images", "Images that wait to be computed.", registry=self.registry)
        self.batch = Histogram(
            "fmapzip_batch_images", "Images in a batch.", buckets=(1, 2, 4, 8, 16, 32, 64), registry=self.registry
        )
        self.waited = Histogram(
            "fmapzip_waited_seconds", "Time that images waited.", buckets=_SECONDS, registry=self.registry
        )
        self.run = Histogram(
            "fmapzip_run_seconds", "Time to decode and compute.", buckets=_SECONDS, registry=self.registry
        )

    def publish(self, host: str, port: int) -> tuple[int, Callable[[], None]]:
        """Serve them over HTTP; gives the port and a function that stops it."""
        server, thread = start_http_server(port, host, self.registry)

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return int(server.server_port), stop
