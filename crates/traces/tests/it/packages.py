"""Checks traces with the packages that define their formats, or makes some with them."""

import json
import sys
from types import SimpleNamespace


def openenv():
    from openenv.core.harness.training import TrainingTrace

    for line in sys.stdin:
        trace = TrainingTrace.model_validate_json(line)
        # A trainer gets the entries.
        entries = TrainingTrace.from_entries(trace.to_trace_entries())
        print(entries.model_dump_json())


def harbor():
    from harbor.models.trajectories import Trajectory

    for line in sys.stdin:
        print(json.dumps(Trajectory.model_validate_json(line).to_json_dict()))


def make_openenv():
    """Captures three calls as OpenEnv's proxy does."""
    from openenv.core.harness.capture.contract import to_training_trace
    from openenv.core.harness.capture.export import export_session
    from openenv.core.harness.capture.graph import RolloutGraph, TurnNode

    graph = RolloutGraph()
    for name, (prompt, sampled) in enumerate([([1, 2], [3, 4]), ([9], [8]), ([1, 2, 3, 4, 5, 6], [7])]):
        logprobs = [-0.5] * len(sampled)
        graph.add_turn(TurnNode(f"node-{name}", prompt, sampled, logprobs, finish_reason="stop"))
    session = SimpleNamespace(graph=graph, session_id="run", metadata={}, findings=[])
    document = export_session(session)
    print(to_training_trace(graph, document).model_dump_json(indent=2))


def make_harbor():
    from harbor.models.trajectories import (
        Agent,
        Metrics,
        Observation,
        ObservationResult,
        Step,
        SubagentTrajectoryRef,
        Trajectory,
    )

    def call(step_id, prompt, sampled, **more):
        metrics = Metrics(
            prompt_tokens=len(prompt),
            completion_tokens=len(sampled),
            prompt_token_ids=prompt,
            completion_token_ids=sampled,
            logprobs=[-0.5] * len(sampled),
        )
        return Step(step_id=step_id, source="agent", message="m", metrics=metrics, **more)

    agent = Agent(name="agent", version="1")
    ref = SubagentTrajectoryRef(trajectory_id="inner")
    named = Observation(results=[ObservationResult(subagent_trajectory_ref=[ref])])
    inner = Trajectory(trajectory_id="inner", agent=agent, steps=[call(1, [9], [8])])
    trajectory = Trajectory(
        session_id="run",
        agent=agent,
        subagent_trajectories=[inner],
        steps=[
            Step(step_id=1, source="user", message="Do it."),
            call(2, [1, 2], [3, 4]),
            Step(step_id=3, source="system", message="Hand over.", observation=named),
            call(4, [1, 2, 3, 4, 5, 6], [7], llm_call_count=1),
        ],
    )
    print(json.dumps(trajectory.to_json_dict(), indent=2))
    print(json.dumps(trajectory.model_copy(update={"session_id": "other"}).model_dump(mode="json")))


{"openenv": openenv, "harbor": harbor, "make-openenv": make_openenv, "make-harbor": make_harbor}[sys.argv[1]]()
