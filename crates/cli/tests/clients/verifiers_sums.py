"""An environment of verifiers: sums, a Python tool on a server of tools, and a reward."""

import verifiers.v1 as vf

from session import run, sessions


class Tools(vf.Toolset[vf.ToolsetConfig, vf.State]):
    TOOL_PREFIX = None

    @vf.tool
    def python(self, code: str) -> str:
        """Runs Python."""
        return run(code)


class Sum(vf.Task[vf.TaskData, vf.State, vf.TaskConfig]):
    @classmethod
    def toolsets(cls, config):
        return [Tools(vf.ToolsetConfig())]

    @vf.reward
    async def calls(self, trace) -> float:
        return float(sum(node.message.role == "tool" for node in trace.nodes))


class Sums(vf.Taskset[Sum, vf.TasksetConfig]):
    def load(self):
        for session, question in sessions("verifiers")[:2]:
            yield Sum(vf.TaskData(id=session, prompt=question), self.config.task)


if __name__ == "__main__":
    Tools.run()
