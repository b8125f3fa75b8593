"""Apache Kafka itself, one node, from Maven Central: for faults, benchmarks and CI.

As a program (`make kafka`) it runs one in the foreground.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

from service.dev.child import Child, ServerFailedError, free_port
from service.dev.kafka import Broker
from service.dev.servers import serve_until_interrupted

REPOSITORY = Path(__file__).resolve().parents[2]
POM = REPOSITORY / "deploy" / "kafka" / "pom.xml"
LIBRARIES = REPOSITORY / ".kafka" / "libs"
MAVEN_S = 600
FORMAT_S = 60
JAVA_OPTIONS = ["-Xmx1G"]
CLUSTER_ID = "cGF5c3RhdGUtZGV2LTAwMQ"  # 16 bytes in base64, as Kafka wants; nothing depends on which

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    # One node: what has three copies by default must do with one.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # A topic that appears by itself has the wrong number of partitions.
    "auto.create.topics.enable": "false",
}


class ApacheKafka(Broker):
    """Apache Kafka 4 with KRaft. Needs Java 17; Maven once, to fetch it."""

    name: ClassVar[str] = "Apache Kafka"

    @property
    def _properties(self) -> Path:
        return self.data_dir / "server.properties"

    def _prepare(self) -> None:
        _java()
        fetch_libraries()
        if self._properties.exists():
            return
        # Under another name until it is formatted, so that half a beginning is begun again.
        draft = self.data_dir / "server.properties.new"
        shutil.rmtree(self.data_dir / "logs", ignore_errors=True)
        draft.write_text("".join(f"{name}={value}\n" for name, value in self._settings().items()))
        tool = [
            *_java(),
            "kafka.tools.StorageTool",
            "format",
            "--standalone",
            "-t",
            CLUSTER_ID,
            "-c",
            str(draft),
            *self._users(),
        ]
        formatting = Child(tool, self.data_dir / "format.log")
        if formatting.wait_end(FORMAT_S) != 0:
            raise ServerFailedError(f"its storage could not be formatted:\n{formatting.log_tail()}")
        draft.rename(self._properties)

    def _settings(self) -> dict[str, str]:
        controller = f"127.0.0.1:{free_port()}"
        return SETTINGS | {
            "controller.quorum.bootstrap.servers": controller,
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://{controller}",
            "log.dirs": str(self.data_dir / "logs"),
        }

    def _users(self) -> list[str]:
        """The options of `format` that make users; there are none where everybody is let in."""
        return []

    @property
    def port(self) -> int:
        """Where it listens: a data directory that was used before says where."""
        if self._port is None and self._kept_dir is not None and self._properties.exists():
            lines = self._properties.read_text().splitlines()
            listeners = next(line for line in lines if line.startswith("listeners="))
            self._port = int(listeners.split(",")[0].rpartition(":")[2])
        return super().port

    def _launch(self) -> Child:
        return Child([*_java(), "kafka.Kafka", str(self._properties)], self.data_dir / "broker.log")


def _java() -> list[str]:
    java = shutil.which("java")
    if java is None:
        raise ServerFailedError("Apache Kafka needs Java 17 or newer, and there is no `java` on the PATH")
    return [java, *JAVA_OPTIONS, "-cp", f"{LIBRARIES}/*"]


def fetch_libraries() -> None:
    """Apache Kafka's jars, through Maven, once. Raises ServerFailedError, saying what is missing."""
    if LIBRARIES.exists():
        return
    maven = shutil.which("mvn")
    if maven is None:
        raise ServerFailedError("Apache Kafka is fetched with Maven, and there is no `mvn` on the PATH")
    fetched = LIBRARIES.with_name("libs.new")
    shutil.rmtree(fetched, ignore_errors=True)
    command = [
        maven,
        "-q",
        "-B",
        "-f",
        str(POM),
        "dependency:copy-dependencies",
        f"-DoutputDirectory={fetched}",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=MAVEN_S)
    except subprocess.TimeoutExpired:
        raise ServerFailedError(f"Maven did not fetch Apache Kafka within {MAVEN_S} s") from None
    if done.returncode != 0:
        raise ServerFailedError(f"Maven could not fetch Apache Kafka:\n{done.stdout[-800:]}")
    fetched.rename(LIBRARIES)


def main() -> None:
    """Apache Kafka in the foreground, until interrupted; its data is thrown away."""
    kafka = ApacheKafka()
    serve_until_interrupted([kafka], lambda: [f"PAYSTATE_KAFKA_BOOTSTRAP={kafka.bootstrap}"])


if __name__ == "__main__":
    try:
        main()
    except ServerFailedError as failure:
        sys.exit(str(failure))
