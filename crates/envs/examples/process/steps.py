"""Arithmetic step by step, where every turn has its own reward and none is called `acc`.

A task is an expression such as `26-25+(10+38)`. A call of `python` computes one operation that stands in what
is left of it: that is `progress`. So is the answer, once nothing is left.
"""

import ast
import operator
import random
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "python"))

import turnwise_env
from turnwise_env import Step, Task, tool

OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}
LARGEST = 999


def number(node):
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -node.operand.value
    return node.value if isinstance(node, ast.Constant) and type(node.value) is int else None


def parsed(text):
    """Returns the expression of a program `print(…)`, or of the text itself; none if it is neither."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return None
    return node.args[0] if isinstance(node, ast.Call) and len(node.args) == 1 else node


def operation(node):
    """Returns operator, operands and value of one operation on two numbers; none if it is something else."""
    if not isinstance(node, ast.BinOp) or type(node.op) not in OPERATORS:
        return None
    a, b = number(node.left), number(node.right)
    return None if a is None or b is None else (type(node.op), a, b, OPERATORS[type(node.op)](a, b))


def reduced(node, found):
    """Returns the expression with the first operation that is `found` replaced by its value, and if one is."""
    if operation(node) == found:
        return ast.Constant(found[3]), True
    if isinstance(node, ast.BinOp):
        node.left, done = reduced(node.left, found)
        if not done:
            node.right, done = reduced(node.right, found)
        return node, done
    return node, False


def written(draw, operations):
    """Returns an expression of that number of operations and its value, none of which is negative or large."""
    if operations == 0:
        value = draw.randint(1, 50)
        return str(value), value
    left = draw.randrange(operations)
    (a, x), (b, y) = written(draw, left), written(draw, operations - 1 - left)
    sign, value = draw.choice([("+", x + y), ("-", x - y), ("*", x * y)])
    if not 0 <= value <= LARGEST:
        sign, value = ("+", x + y) if sign == "*" else ("-", x - y) if x >= y else ("+", x + y)
    if not 0 <= value <= LARGEST:
        return written(draw, operations)
    a = f"({a})" if sign == "*" and left > 0 else a
    b = f"({b})" if sign != "+" and left < operations - 1 or "+" in b or "-" in b else b
    return f"{a}{sign}{b}", value


class Steps(turnwise_env.Env):
    train, held_out = 4096, 512
    tools = [tool("python", "Computes one operation on two numbers.", code="string")]

    def reset(self, split, index, seed):
        self.operations = 2 + seed % 2
        text, self.value = written(random.Random(seed), self.operations)
        self.left = parsed(text)
        return Task(f"steps/{split}/{index}", text, level=self.operations)

    def step(self, text, calls, malformed):
        share = 1.0 / (self.operations + 1)
        if calls:
            done = [self.compute(str(call["arguments"].get("code", ""))) for call in calls]
            progress = share * sum(right for _, right in done)
            return Step([output for output, _ in done], {"progress": progress})
        answer = re.search(r"Answer: (-?\d+)\s*$", text)
        right = number(self.left) == self.value and answer is not None and int(answer[1]) == self.value
        return Step([], {"progress": share * right}, done=True, correct=right)

    def compute(self, code):
        found = operation(parsed(code))
        if found is None:
            return "StepError: one operation on two integers per call", False
        self.left, right = reduced(self.left, found)
        return str(found[3]), right


if __name__ == "__main__":
    turnwise_env.serve(Steps)
