"""Many clients of one server at once, with right and wrong requests, and what came of each."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np

from keras_resunits_client import Client, Refused
from keras_resunits_client.messages import message
from keras_resunits_client.protocol import Model

CLIENTS = 16
RIGHT = "right"
WRONG = ("shape", "dtype", "input", "model", "garbage")
MIXED = (RIGHT, *(each for wrong in WRONG for each in (wrong, RIGHT, RIGHT)))
"""Kinds of requests, of which two thirds are right."""

GRPC = {
    True: ("/tensorflow.serving.PredictionService/Predict", "tensorflow.serving.PredictResponse"),
    False: ("/inference.GRPCInferenceService/ModelInfer", "inference.ModelInferResponse"),
}
"""Method and response, by whether the protocol has signatures."""


@dataclass(frozen=True)
class Result:
    """One request: its kind, its case, when it began and ended, and the answer or the error."""

    kind: str
    case: int
    began: float
    ended: float
    answer: dict[str, np.ndarray] | Refused


class Garbage:
    """What gRPC sends in place of a message."""

    def SerializeToString(self) -> bytes:
        """Bytes that are no message."""
        return b"\xff\xff\xff"


def _ask(client: Client, kind: str, case) -> dict[str, np.ndarray]:
    """The answer to a request; wrong ones pass by the client's own checks."""
    if kind == RIGHT:
        return client.predict(case)
    protocol, model, signature = client._protocol, client.model, "serving_default"
    inputs = {
        "shape": {"images": case[:, :-1]},
        "dtype": {"images": case.astype("float32") + 0.5},
        "input": {"pictures": case},
    }.get(kind, {"images": case})
    if kind != "garbage":
        return protocol.predict(Model("unknown") if kind == "model" else model, signature, inputs, 60)
    if hasattr(protocol, "_channel"):
        method, response = GRPC[protocol.has_signatures]
        return protocol._channel.call(method, Garbage(), message(response), 60)
    path = f"/v1/models/{model.name}:predict" if protocol.has_signatures else f"/v2/models/{model.name}/infer"
    return protocol._connections.post(path, b'{"inputs": garbage', {}, 60)


def run(connect: Callable[[int], Client], cases: Sequence, requests: int, kinds=MIXED) -> list[Result]:
    """Send requests from `CLIENTS` clients at once, each with a connection of its own."""
    jobs = list(islice(zip(cycle(kinds), cycle(range(len(cases))), strict=False), requests))

    def one_client(number: int) -> list[Result]:
        found = []
        with connect(number) as client:
            for kind, case in jobs[number::CLIENTS]:
                began = time.perf_counter()
                try:
                    answer = _ask(client, kind, cases[case])
                except Refused as error:
                    answer = error
                found.append(Result(kind, case, began, time.perf_counter(), answer))
        return found

    with ThreadPoolExecutor(CLIENTS) as pool:
        return [result for results in pool.map(one_client, range(CLIENTS)) for result in results]


def same(answer, wanted: dict[str, np.ndarray], rtol: float = 0.0) -> bool:
    """Whether an answer has the names and values that are wanted."""
    return (
        isinstance(answer, dict)
        and answer.keys() == wanted.keys()
        and all(
            np.array_equal(answer[name], each)
            if each.dtype == object
            else answer[name].shape == each.shape and np.allclose(answer[name], each, rtol=rtol, atol=0)
            for name, each in wanted.items()
        )
    )


def require_right(results: list[Result], wanted: Sequence[dict[str, np.ndarray]], rtol: float = 0.0) -> None:
    """Every right request has its own answer, and every wrong one an error."""
    wrong = [
        (each.kind, each.answer)
        for each in results
        if not (same(each.answer, wanted[each.case], rtol) if each.kind == RIGHT else isinstance(each.answer, Refused))
    ]
    assert not wrong, f"{len(wrong)} of {len(results)}: {wrong[:3]}"


def summary(results: list[Result]) -> str:
    """Throughput and latencies in one line."""
    seconds = max(each.ended for each in results) - min(each.began for each in results)
    p50, p99 = np.percentile([1000 * (each.ended - each.began) for each in results], (50, 99))
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(each.kind for each in results).items()))
    return (
        f"{len(results)} requests ({kinds}) from {CLIENTS} clients: "
        f"{len(results) / seconds:.0f} a second, p50 {p50:.1f} ms, p99 {p99:.1f} ms"
    )
