"""The least that a bridge could do: verify a callback, send it to Kafka, wait until all replicas have it.

No HTTP, no record around the body, no deadlines. One process; prints what it cost as JSON:

    python -m tests.bench.bare BODIES COUNT
"""

import asyncio
import json
import os
import sys
import time
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path

from schemas.vocabulary import Topic
from service import config
from service.kafka.access import KafkaAccess
from service.kafka.clients import idempotent_producer, started
from service.kafka.partition import lane_of
from service.wallets.alipay.callback import verify_callback
from service.wiring import run_loop
from tests.bench.workload import PROFILE

# As many at a time as the bridge is given.
AT_A_TIME = 256


async def main(bodies: list[bytes], count: int) -> None:
    profile = config.load(Path(os.environ["PAYSTATE_CONFIG"])).profiles[PROFILE]
    lanes = int(os.environ["PAYSTATE_LANES"])
    async with started(idempotent_producer(KafkaAccess(os.environ["PAYSTATE_KAFKA_BOOTSTRAP"]))) as producer:

        async def take(some: list[bytes]) -> None:
            now, sent = datetime.now(UTC), []
            for body in some:
                order_id = verify_callback(body, profile, now)["out_trade_no"]
                sent.append(
                    await producer.send(
                        Topic.CALLBACKS, body, key=order_id.encode(), partition=lane_of(order_id, lanes)
                    )
                )
            await asyncio.gather(*sent)

        await take(bodies[:AT_A_TIME])
        began, cpu = time.perf_counter(), time.process_time()
        coming = islice(cycle(bodies), count)
        while some := list(islice(coming, AT_A_TIME)):
            await take(some)
        print(json.dumps({"wall_s": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}))


if __name__ == "__main__":
    run_loop(main(Path(sys.argv[1]).read_bytes().split(b"\n"), int(sys.argv[2])))
