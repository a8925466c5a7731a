"""A server of the official Python SDK, or of fastmcp.

    notes.py mcp|fastmcp [PORT]    on stdio, or as streamable HTTP
    notes.py fastmcp PORT whose    with a tool that tells the session
"""
import sys

if sys.argv[1] == "mcp":
    from mcp.server import MCPServer as Server
else:
    from fastmcp import FastMCP as Server

app = Server("notes")
notes = []


@app.tool()
def add(a: int, b: int = 1) -> int:
    """Adds two numbers."""
    return a + b


@app.tool()
def note(text: str) -> str:
    """Writes a note and returns all of them."""
    notes.append(text)
    return ", ".join(notes)


@app.tool()
def fail() -> str:
    """Fails."""
    raise ValueError("no such thing")


if len(sys.argv) > 3:
    from fastmcp import Context

    @app.tool()
    def whose(ctx: Context) -> str:
        """Names the session."""
        return ctx.session_id


if __name__ == "__main__":
    if len(sys.argv) > 2:
        app.run(transport="streamable-http", host="127.0.0.1", port=int(sys.argv[2]))
    else:
        app.run()
