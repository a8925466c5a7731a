"""One operation on two integers per call. The checked syntax tree is evaluated; the code itself never runs."""
import ast

class StepError(Exception):
    pass

def number(node):
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -number(node.operand)
    if isinstance(node, ast.Constant) and type(node.value) is int and abs(node.value) < 10**12:
        return node.value
    raise StepError("one operation on two integers per call")

def step(code):
    body = ast.parse(code.strip()).body
    if len(body) != 1 or not isinstance(body[0], ast.Expr):
        raise StepError("one expression per call")
    node = body[0].value
    if isinstance(node, ast.Call):
        if not (isinstance(node.func, ast.Name) and node.func.id == "print" and len(node.args) == 1 and not node.keywords):
            raise StepError("only print may be called")
        node = node.args[0]
    if not isinstance(node, ast.BinOp):
        return number(node)
    a, b = number(node.left), number(node.right)
    if isinstance(node.op, ast.Add):
        return a + b
    if isinstance(node.op, ast.Sub):
        return a - b
    if isinstance(node.op, ast.Mult):
        return a * b
    if isinstance(node.op, ast.FloorDiv):
        return a // b
    if isinstance(node.op, ast.Mod):
        return a % b
    raise StepError("only + - * // % are known")
